from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fake_records import sheet
from hypothesis import given
from hypothesis import strategies as st

from bench.records import stats
from bench.verdict.ranking import Ranking
from bench.verdict.sheet import Floats, Sheet
from bench.verdict.significance import DRAWS, LEVEL, ROUNDING, ahead, resampled

ENDS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)


def plainly(draws: Floats) -> np.ndarray:
    """Both ends of the interval of every difference, by numpy's own quantile."""
    n = draws.shape[1]
    found = np.zeros((n, n), bool)
    for i in range(n):
        for j in range(i + 1, n):
            low, high = np.quantile(draws[:, i] - draws[:, j], ENDS)
            found[i, j], found[j, i] = low > ROUNDING, -high > ROUNDING
    return found


@given(st.integers(0, 2**32 - 1), st.sampled_from([40, 81, 400, 2000, 2501]))
def test_counting_finds_what_the_intervals_of_all_pairs_say(seed: int, count: int) -> None:
    """Near and far columns, equal ones, skewed ones, and few enough values for the interval's end to be zero itself."""
    random = np.random.default_rng(seed)
    draws = random.normal(size=(count, 9)) * random.choice([0.01, 1.0, 5.0], 9) + random.normal(size=9)
    draws[:, 1] = draws[:, 0]
    draws[:, 2] = np.exp(2 * draws[:, 3])
    draws[:, 4:] = np.rint(draws[:, 4:])
    np.testing.assert_array_equal(ahead(draws), plainly(draws))


def test_the_pair_whose_interval_ends_at_zero_is_decided_by_the_interpolated_end() -> None:
    """49 of 2,000 below zero is significant, 51 is not; of 50 the end lies between two draws."""
    for below, low, expected in ((49, -1.0, True), (51, -1e-3, False), (50, -1.0, True), (50, -99.0, False)):
        draws = np.zeros((DRAWS, 2))
        draws[:, 0] = np.where(np.arange(DRAWS) < below, low, 1.0)
        assert ahead(draws)[0, 1] == plainly(draws)[0, 1] == expected


def crowded(sizes: tuple[int, ...], drawn: bool) -> Sheet:
    """Six rows, a setting for each size, every one of a test set of its own; the first comes with seeded draws."""
    random = np.random.default_rng(5)
    answers: dict[tuple[int, int], Floats] = {
        (i, j): np.where(random.random(n) < 0.6 + 0.03 * i, 100.0, 0.0) for i in range(6) for j, n in enumerate(sizes)
    }
    table = sheet([[float(answers[i, j].mean()) for j in range(len(sizes))] for i in range(6)])
    settings = tuple(replace(s, test_set=f"set {j}") for j, s in enumerate(table.settings))
    by_draw = {(i, 0): answers[i, 0].mean() + random.normal(size=5) for i in range(6)} if drawn else {}
    return replace(table, settings=settings, samples=answers, by_draw=by_draw)


@pytest.mark.parametrize("drawn", [False, True])
def test_test_sets_of_one_size_resampled_at_once_give_what_each_gives_alone(drawn: bool) -> None:
    table = crowded((50, 80, 50), drawn)
    rows = list(range(6))
    gains, weights = table.values, Ranking(table).weights
    alone: Floats = np.zeros((DRAWS, 6))
    for j in range(3):
        samples = np.stack([table.samples[i, j] for i in rows], axis=1)
        by_draw = [np.stack([table.by_draw[i, j] for i in rows], axis=1)] if drawn and j == 0 else []
        parts, *wide = [(p - p.mean(axis=1, keepdims=True)) * weights[:, j] for p in (samples, *by_draw)]
        alone += stats.paired_bootstrap(parts, DRAWS, 0, wide)
    np.testing.assert_allclose(resampled(table, rows, gains, weights, 0), alone, atol=1e-12)
