"""Which differences are significant: bootstrap resamples of mean z, and who is ahead of whom in them.

Pure functions of arrays; :class:`bench.verdict.ranking.Ranking` keeps what they give.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bench.records import stats
from bench.verdict.sheet import Floats, Sheet

Bools = npt.NDArray[np.bool_]

LEVEL = 0.95
DRAWS = 2000
ROUNDING = 1e-9
"""What a sum of z-scores may be off by: less than that is no difference and no error."""
LANES = 255
"""What one byte can count up to."""
BLOCK = 128
"""Rows whose differences are held at once: a few MiB."""


def resampled(sheet: Sheet, ranked: Sequence[int], gains: Floats, weights: Floats, seed: int) -> Floats:
    """Mean z in bootstrap resamples of the test images: [draws, ranked rows].

    Settings of one test set are resampled together, and all rows see the same images, so differences of columns
    are paired. Seeded draws of training images, the same for all rows, are resampled likewise, setting by setting.
    A setting's mean moves with the resample, its deviation is held fixed. A setting that comes with
    standard errors only contributes independent normal noise; one without any, none.

    Args:
        gains: scores [ranked rows, settings], higher is better; NaN where there is none.
        weights: what one unit of a score adds to its row's mean z, [rows of the sheet, settings].
    """
    rows = np.array(ranked)
    drawn: Floats = np.zeros((DRAWS, len(rows)))
    by_images: dict[int, Floats] = {}  # one seed: test sets of one size see the same weights, so their parts add up
    by_draw: dict[str, list[Floats]] = defaultdict(list)
    for j, setting in enumerate(sheet.settings):
        known = ~np.isnan(gains[:, j])
        if not known.any():
            continue
        weight = weights[rows[known], j]
        samples = stats.side_by_side([sheet.samples.get((i, j), ()) for i in rows[known]])
        if samples is not None:
            parts = by_images.setdefault(len(samples), np.zeros((len(samples), len(rows))))
            parts[:, known] += _centred(samples) * weight
            means = stats.side_by_side([sheet.by_draw.get((i, j), ()) for i in rows[known]])
            if means is not None:
                wide = np.zeros((len(means), len(rows)))
                wide[:, known] = _centred(means) * weight
                by_draw[f"{setting.test_set} {len(samples)}"].append(wide)
        else:
            noise = np.random.default_rng([seed, j]).standard_normal((DRAWS, len(weight)))
            errors = np.nan_to_num(sheet.errors[rows[known], j])
            drawn[:, known] += _centred(sheet.values[rows[known], j] + noise * errors) * weight
    for parts in by_images.values():
        drawn += stats.paired_bootstrap(parts, DRAWS, seed)
    for several in by_draw.values():
        drawn += stats.resampled_draws(several, DRAWS, seed)
    return drawn


def ahead(draws: Floats) -> Bools:
    """Whether each column is significantly above each other one, [draws, n] → [n, n], row above column.

    That is so where the lower end of the central interval of their difference lies above zero. The interval's ends are
    interpolated between two order statistics (numpy's default), so counting the draws that are not above zero decides,
    except where the count falls between these two; those pairs alone are sorted.
    """
    count, n = draws.shape
    place = (1 - LEVEL) / 2 * (count - 1)
    below = int(np.floor(place))  # draws[below] and the next one, of those sorted, hold the interval's lower end
    columns = np.ascontiguousarray(draws.T)
    clear = _clearly(columns, (below + 1) / count)
    found: Bools = clear > 0

    def lead(differences: Floats) -> Bools:
        above = _counts(differences > ROUNDING)
        leads: Bools = above >= count - below
        for k in np.flatnonzero(above == count - below - 1):
            leads[k] = np.quantile(differences[k], (1 - LEVEL) / 2) > ROUNDING
        return leads

    for i in range(n):
        others = i + 1 + np.flatnonzero(clear[i, i + 1 :] == 0)
        for chosen in np.split(others, range(BLOCK, len(others), BLOCK)):
            differences = columns[i] - columns[chosen]
            found[i, chosen] = lead(differences)
            behind = np.flatnonzero(differences.mean(axis=1) < 0)
            found[chosen[behind], i] = lead(-differences[behind])
    return found


def _clearly(columns: Floats, share: float) -> npt.NDArray[np.int8]:
    """1 where a row is so far above a column that no distribution of their difference, whatever its shape, has the
    ``share`` of its mass at or below zero; −1 where so far below; 0 where the draws have to be counted.

    Cantelli's inequality: P(d ≤ 0) ≤ v / (v + m²) for mean m and variance v.
    """
    count = columns.shape[1]
    mean = columns.mean(axis=1)
    centred = columns - mean[:, None]
    covariance = centred @ centred.T / count
    own = np.diagonal(covariance)
    variance = np.maximum(own[:, None] + own[None, :] - 2 * covariance, 0.0)
    lead = mean[:, None] - mean[None, :]
    reach = np.sqrt(variance * (1 - share) / share) * 1.02 + 1e3 * ROUNDING  # room for rounding
    return np.where(lead > reach, 1, np.where(lead < -reach, -1, 0)).astype(np.int8)


def _counts(yes: Bools) -> npt.NDArray[np.int64]:
    """How many of each row hold, [m, draws] → [m]: eight bytes at a time, for a sum of booleans takes ten times as
    long."""
    m, count = yes.shape
    padded = np.zeros((m, -(-count // 8) * 8), np.uint8)
    padded[:, :count] = yes
    words = padded.view(np.uint64)
    total = np.zeros(m, np.int64)
    for start in range(0, words.shape[1], LANES):
        lanes = words[:, start : start + LANES].sum(axis=1, dtype=np.uint64)
        total += lanes[:, None].view(np.uint8).sum(axis=1, dtype=np.int64)
    return total


def _centred(values: Floats) -> Floats:
    """Values [draws or samples, rows] without their mean over the rows."""
    return np.asarray(values - values.mean(axis=1, keepdims=True), np.float64)
