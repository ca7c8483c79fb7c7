"""Uncertainty by resampling: is the difference of two cells more than the luck of the test images?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
_BLOCK = 1 << 22
"""Resampled values held at once."""


@dataclass(frozen=True)
class Difference:
    """``value`` = mean(a) − mean(b), its standard error, and the 95 % percentile interval ``low`` … ``high``."""

    value: float
    stderr: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


def paired_difference(a: Doubles, b: Doubles, seed: int = 0, draws: int = 10_000) -> Difference:
    """Paired bootstrap of the difference of two means (Efron & Tibshirani 1993, chapter 8).

    Args:
        a, b: per-sample values [n] of two cells on the same test samples in the same order.

    Raises:
        ValueError: the arrays are empty or of different length.
    """
    if a.shape != b.shape or not len(a):
        raise ValueError(f"two arrays of the same samples are needed, not {a.shape} and {b.shape}")
    difference = a - b
    means = bootstrap(difference, lambda sample: sample.mean(axis=1), seed, draws)
    low, high = np.quantile(means, [0.025, 0.975])
    return Difference(float(difference.mean()), float(means.std(ddof=1)), float(low), float(high))


def bootstrap(values: Doubles, statistic: Callable[[Doubles], Doubles], seed: int = 0, draws: int = 10_000) -> Doubles:
    """``statistic`` of ``draws`` resamples of ``values`` [n], float64 [draws]; it maps [m, n] to [m]."""
    generator = np.random.default_rng(seed)
    rows = max(1, _BLOCK // len(values))
    parts = [
        statistic(values[generator.integers(len(values), size=(min(rows, draws - start), len(values)))])
        for start in range(0, draws, rows)
    ]
    return np.concatenate(parts)


def bootstrap_weights(n: int, seed: int = 0, draws: int = 1000) -> Iterator[Doubles]:
    """How often each of ``n`` samples is in each resample: float64 [some, n] at a time, ``draws`` rows in all.

    For statistics that are functions of weighted sums: a draw is then a row of one matrix product.
    """
    generator = np.random.default_rng(seed)
    rows = max(1, _BLOCK // n)
    for start in range(0, draws, rows):
        some = min(rows, draws - start)
        picked = generator.integers(n, size=(some, n)) + n * np.arange(some)[:, None]
        yield np.bincount(picked.ravel(), minlength=some * n).reshape(some, n).astype(np.float64)
