"""When queries arrive: drawn before the measurement, so that a slow answer delays no later query (pitfall 10)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def gaps(count: int, seed: int, schedules: int = 1) -> Floats:
    """Exponential gaps of mean 1 between the arrivals of Poisson processes, [count, schedules].

    Over a rate they are seconds: schedules of all rates are one schedule, stretched, so that two rates differ in
    nothing else. A longer schedule begins as a shorter one of the same seed.
    """
    streams = [np.random.default_rng((seed, number)) for number in range(schedules)]
    return np.stack([stream.exponential(size=count) for stream in streams], axis=1)


def poisson(rate: float, count: int, seed: int) -> list[int]:
    """Arrivals of a Poisson process, in ns after the beginning, ``rate`` a second."""
    due: list[int] = np.rint(gaps(count, seed)[:, 0].cumsum() * (1e9 / rate)).astype(np.int64).tolist()
    return due


def paced(rate: float, count: int) -> list[int]:
    """Arrivals at even intervals, in ns after the beginning, the first at once."""
    return [round(number * 1e9 / rate) for number in range(count)]
