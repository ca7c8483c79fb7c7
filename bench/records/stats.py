"""Statistics of samples, scores and tables: pure functions, the same for whoever measures and whoever ranks.

This module knows no record and no file. Every definition that readers argue about (which quantile, which spread) is
stated where it is made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

CONFIDENCE = 0.99
"""Confidence of the sample-count rule, as in MLPerf LoadGen."""


def quantile(samples: Sequence[float], q: float) -> float:
    """The smallest sample that at least the share ``q`` of all samples does not exceed.

    This is the inverse of the empirical distribution (nearest rank; definition 1 of Hyndman and Fan 1996). It is always
    a value that was measured; nothing is interpolated.

    Args:
        samples: at least one; any order.
        q: 0 (the smallest) to 1 (the largest).
    """
    if not samples or not 0 <= q <= 1:
        raise ValueError(f"a quantile needs samples and 0 ≤ q ≤ 1, not {len(samples)} samples and q = {q}")
    rank = math.ceil(q * len(samples) - 1e-9)  # 0.07 · 100 is 7.000000000000001 in floating point
    return sorted(samples)[max(rank, 1) - 1]


def min_samples(q: float) -> int:
    """Least number of samples for reporting the ``q`` quantile (p90: 64, p95: 130, p99: 662, p99.9: 6,636).

    The rule of MLPerf LoadGen's early stopping at 99 % confidence: besides one sample over the bound, so many must
    lie under it that a true quantile over the bound would show at most one such sample in only 1 % of runs. That is
    the least n with P(Binomial(n, 1 − q) ≤ 1) = qⁿ + n (1 − q) qⁿ⁻¹ ≤ 0.01.
    """
    if not 0 < q < 1:
        raise ValueError(f"the rule is for 0 < q < 1, not {q}")

    def chance(n: int) -> float:
        return math.exp((n - 1) * math.log(q)) * (q + n * (1 - q))

    low, high = 1, 2
    while chance(high) > 1 - CONFIDENCE:
        low, high = high, 2 * high
    while low < high:
        middle = (low + high) // 2
        if chance(middle) <= 1 - CONFIDENCE:
            high = middle
        else:
            low = middle + 1
    return high


def median(samples: Sequence[float]) -> float:
    """The 0.5 quantile as defined above (of an even number of samples, the lower one of the two in the middle)."""
    return quantile(samples, 0.5)


def interquartile_range(samples: Sequence[float]) -> float:
    """Width of the middle half: the 0.75 quantile minus the 0.25 quantile."""
    return quantile(samples, 0.75) - quantile(samples, 0.25)


def noise(samples: Sequence[float]) -> float:
    """Relative spread in percent: interquartile range over the median.

    It shows how steady the middle of the distribution is. The tail is not noise: p90 and p99 show that.
    """
    centre = median(samples)
    return 100 * interquartile_range(samples) / centre if centre else 0.0


def is_mean(parts: Sequence[float] | Floats, value: float | None) -> bool:
    """Whether a score is the mean of its parts, so that resampling these resamples it."""
    if len(parts) == 0 or value is None:
        return False
    return abs(float(np.mean(parts)) - value) <= 1e-6 * max(1.0, abs(value))


def paired_bootstrap(
    columns: Floats, draws: int = 2000, seed: int | Sequence[int] = 0, by_draw: Sequence[Floats] = ()
) -> Floats:
    """Means of ``columns`` [n, c] over ``draws`` resamples of its rows, [draws, c].

    All columns see the same resample, so the difference of two result columns is the paired bootstrap (Efron and
    Tibshirani 1993) of the difference of two means.

    A score that is a mean over test samples and over seeded draws of training images (rows and columns of a crossed
    design) is resampled in both: ``columns`` are then each sample's means over the draws, and ``by_draw`` holds each
    draw's means over the samples, centred here, resampled on their own and added. The spread is then that of
    ``tasks.scoring.metrics.crossed_mean``: the variance of the samples' means over their number plus that of the
    draws' means over theirs, which is at most a little too wide. There may be only five draws, so their deviations are
    widened by √(m / (m − 1)), without which a bootstrap of m values is too narrow.

    Args:
        by_draw: one array [m, c] for each set of draws that is independent of the others; of one draw nothing follows.

    Raises:
        ValueError: there are no rows.
    """
    return _means(columns, draws, seed) + resampled_draws(by_draw, draws, seed)


def resampled_draws(by_draw: Sequence[Floats], draws: int = 2000, seed: int | Sequence[int] = 0) -> Floats | float:
    """What seeded draws of training images add to a bootstrap: sum over ``by_draw`` of their resampled, widened
    deviations, [draws, c]; 0 where there are none. See :func:`paired_bootstrap`."""
    found: Floats | float = 0.0
    for number, part in enumerate(by_draw, 1):
        m = len(part)
        if m > 1:
            wide = (part - part.mean(axis=0)) * math.sqrt(m / (m - 1))
            found = found + _means(wide, draws, [*(seed if isinstance(seed, Sequence) else [seed]), number])
    return found


def side_by_side(columns: Sequence[Sequence[float] | Floats]) -> Floats | None:
    """Columns of one length as an array [n, c]; None where they are empty or of several lengths, so not pairs."""
    lengths = {len(column) for column in columns}
    return np.array(columns, np.float64).T if len(lengths) == 1 and 0 not in lengths else None


def _means(columns: Floats, draws: int, seed: int | Sequence[int]) -> Floats:
    n = len(columns)
    if n == 0:
        raise ValueError("nothing to resample")
    random = np.random.default_rng(seed)
    out = np.empty((draws, columns.shape[1]))
    step = max(1, (1 << 21) // n)  # at most 16 MiB of weights at once
    for start in range(0, draws, step):
        some = min(step, draws - start)
        # picking and counting takes a third of the time of numpy's multinomial
        picked = random.integers(n, size=(some, n)) + n * np.arange(some)[:, None]
        weights = np.bincount(picked.ravel(), minlength=some * n).reshape(some, n).astype(np.float64)
        out[start : start + some] = weights @ columns / n
    return out


def interval(draws: Floats, level: float = 0.95) -> tuple[float, float]:
    """Central interval of bootstrap draws [d]: the percentile method."""
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def first_shares(draws: Floats, tolerance: float = 0.0) -> Floats:
    """How often each column has the largest value of a row, [d, c] → [c], summing to 1.

    Columns within ``tolerance`` of the largest tie; they share that row equally.
    """
    first = draws >= draws.max(axis=1, keepdims=True) - tolerance
    return np.asarray((first / first.sum(axis=1, keepdims=True)).mean(axis=0), np.float64)


def z_scores(values: Floats, ddof: int = 0) -> Floats:
    """(value − mean) / standard deviation within one setting, [n] → [n].

    Args:
        values: NaN where there is none; it stays NaN and does not count.
        ddof: 0 divides by n, 1 by n − 1.

    Returns:
        All NaN for fewer than two values; all 0 where all values are equal (no row stands out).
    """
    known = ~np.isnan(values)
    if known.sum() < 2:
        return np.full(values.shape, np.nan)
    centred = values - values[known].mean()
    spread = values[known].std(ddof=ddof)
    if spread <= 1e-12 * max(1.0, float(np.abs(values[known]).max())):
        return np.where(known, 0.0, np.nan)
    return np.asarray(centred / spread, np.float64)


def ranks(values: Floats) -> Floats:
    """Ranks from 1 (the largest value), ties sharing their mean rank; NaN stays NaN. [n] → [n]."""
    out = np.full(values.shape, np.nan)
    known = np.flatnonzero(~np.isnan(values))
    for i in known:
        better = (values[known] > values[i]).sum()
        equal = (values[known] == values[i]).sum()
        out[i] = better + (equal + 1) / 2
    return out


def spearman(one: Floats, other: Floats) -> Floats:
    """Spearman's rank correlation of each row of ``one`` with that of ``other``, [d, n] → [d]; NaN where all are equal.

    Pearson's correlation of the ranks, ties sharing their mean rank.
    """
    a, b = (_mean_ranks(x) - (x.shape[1] + 1) / 2 for x in (one, other))
    spread = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    with np.errstate(invalid="ignore"):
        return np.asarray((a * b).sum(axis=1) / spread, np.float64)


def _mean_ranks(rows: Floats) -> Floats:
    """Ranks within each row from 1 (the least), ties sharing their mean rank, [d, n] → [d, n]."""
    order = np.argsort(rows, axis=1)
    sorted_ = np.take_along_axis(rows, order, axis=1)
    edge = np.ones((len(rows), 1), bool)
    starts = np.hstack([edge, sorted_[:, 1:] != sorted_[:, :-1]])
    ends = np.hstack([starts[:, 1:], edge])
    place = np.arange(rows.shape[1])
    first = np.maximum.accumulate(np.where(starts, place, 0), axis=1)
    last = np.minimum.accumulate(np.where(ends, place, rows.shape[1])[:, ::-1], axis=1)[:, ::-1]
    out = np.empty(rows.shape)
    np.put_along_axis(out, order, (first + last) / 2 + 1, axis=1)
    return out


def kendall(one: Floats, other: Floats) -> float:
    """Kendall's tau-b of two series of values, [n] each; NaN where one of them has a single value.

    Concordant pairs less discordant ones, over the geometric mean of the pairs that are no tie in each.
    """
    a, b = (np.sign(x[:, None] - x[None, :]) for x in (one, other))
    with np.errstate(invalid="ignore"):
        return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


def pareto_front(gains: Sequence[float | None], costs: Sequence[float | None]) -> list[bool]:
    """Which points no other point dominates: none is as good in both and better in one.

    Args:
        gains: higher is better. costs: lower is better. A point that lacks either is not on the front.
    """
    known = [(c, -g) for g, c in zip(gains, costs, strict=True) if g is not None and c is not None]
    front, best = set(), math.inf
    for cost, loss in sorted(set(known)):  # cheapest first, and of equal ones the best
        if loss < best:
            front.add((cost, loss))
            best = loss
    return [g is not None and c is not None and (c, -g) in front for g, c in zip(gains, costs, strict=True)]
