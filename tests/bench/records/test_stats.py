from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.records import stats
from tasks.scoring.metrics import crossed_mean

SAMPLES = st.lists(st.integers(1, 10**9), min_size=1, max_size=60)
POINTS = st.lists(
    st.tuples(st.one_of(st.none(), st.integers(0, 6)), st.one_of(st.none(), st.integers(0, 6))), max_size=12
)


@given(SAMPLES, st.floats(0, 1))
def test_quantile_is_the_smallest_sample_that_a_share_q_does_not_exceed(samples: list[int], q: float) -> None:
    found = stats.quantile(samples, q)
    assert found in samples
    covered = sum(s <= found for s in samples)
    assert covered >= q * len(samples) - 1e-6
    below = sum(s < found for s in samples)
    assert below < q * len(samples) or found == min(samples)


def test_quantile_of_known_numbers() -> None:
    hundred = list(range(1, 101))
    assert [stats.quantile(hundred, q) for q in (0.0, 0.07, 0.5, 0.9, 0.99, 1.0)] == [1, 7, 50, 90, 99, 100]
    with pytest.raises(ValueError, match="needs samples"):
        stats.quantile([], 0.5)
    with pytest.raises(ValueError, match="q = 2"):
        stats.quantile([1], 2)


def test_sample_counts_are_those_of_loadgen() -> None:
    assert [stats.min_samples(q) for q in (0.9, 0.95, 0.99, 0.999)] == [64, 130, 662, 6636]


@given(st.floats(0.5, 0.9999))
def test_sample_count_is_the_least_that_gives_the_confidence(q: float) -> None:
    def chance_of_at_most_one_over(n: int) -> float:
        return q**n + n * (1 - q) * q ** (n - 1)

    n = stats.min_samples(q)
    assert chance_of_at_most_one_over(n) <= 0.01 + 1e-9
    assert chance_of_at_most_one_over(n - 1) > 0.01 - 1e-9


def test_spreads_of_known_numbers() -> None:
    samples = [10, 20, 30, 40, 1000]
    assert stats.median(samples) == 30
    assert stats.interquartile_range(samples) == 20
    assert stats.noise(samples) == pytest.approx(100 * 20 / 30)
    assert stats.noise([5, 5, 5]) == 0


@given(SAMPLES, st.integers(1, 1000))
def test_noise_does_not_depend_on_the_unit(samples: list[int], factor: int) -> None:
    assert stats.noise([s * factor for s in samples]) == pytest.approx(stats.noise(samples))


@pytest.mark.parametrize("draws", [5, 40])
def test_bootstrap_of_a_crossed_design_has_the_spread_of_its_mean(draws: int) -> None:
    """Values are a draw's luck (deviation 3) plus a sample's (20) plus noise (10), so the mean's variance is known."""
    random = np.random.default_rng(draws)
    spreads, n = [], 400
    for seed in range(12):
        values = random.normal(0, 3, (draws, 1)) + random.normal(0, 20, n) + random.normal(0, 10, (draws, n))
        by_sample, by_draw = values.mean(axis=0)[:, None], values.mean(axis=1)[:, None]
        drawn = stats.paired_bootstrap(by_sample, 4000, seed, [by_draw])[:, 0]
        told = crossed_mean("accuracy", values, "").stderr
        assert drawn.std() == pytest.approx(told, rel=0.06)
        assert drawn.mean() == pytest.approx(values.mean(), abs=5 * drawn.std() / math.sqrt(4000))
        spreads.append(drawn.var())
    known = 9 / draws + 400 / n + 100 / (draws * n)
    assert np.mean(spreads) == pytest.approx(known, rel=0.4)  # 12 designs tell it no closer


def test_bootstrap_keeps_pairs_of_draws_and_resamples_each_set_on_its_own() -> None:
    random = np.random.default_rng(1)
    samples = np.zeros((50, 2))
    one = random.normal(size=(20, 1))
    paired = stats.paired_bootstrap(samples, 3000, 0, [np.hstack([one, one + 4])])
    np.testing.assert_allclose(paired[:, 0], paired[:, 1], atol=1e-12)
    apart = stats.paired_bootstrap(samples, 3000, 0, [one * [1, 0], one * [0, 1]])
    assert abs(np.corrcoef(apart.T)[0, 1]) < 0.06
    np.testing.assert_array_equal(stats.paired_bootstrap(samples, 10, 0, [one[:1] * [1, 1]]), np.zeros((10, 2)))
    with pytest.raises(ValueError, match="nothing to resample"):
        stats.paired_bootstrap(np.empty((0, 2)))


def test_columns_stand_side_by_side_only_if_they_are_as_long() -> None:
    found = stats.side_by_side([[1, 2, 3], [4, 5, 6]])
    assert found is not None
    np.testing.assert_array_equal(found, [[1, 4], [2, 5], [3, 6]])
    assert stats.side_by_side([[1], [1, 2]]) is None
    assert stats.side_by_side([[], []]) is None
    assert stats.side_by_side([]) is None


def test_bootstrap_has_the_standard_error_of_the_mean_and_keeps_pairs() -> None:
    random = np.random.default_rng(0)
    one = random.normal(size=400)
    drawn = stats.paired_bootstrap(np.stack([one, one + 3], axis=1), draws=4000)
    assert drawn.shape == (4000, 2)
    assert drawn[:, 0].std() == pytest.approx(one.std() / math.sqrt(400), rel=0.05)
    np.testing.assert_allclose(drawn[:, 1] - drawn[:, 0], 3)
    low, high = stats.interval(drawn[:, 0])
    assert low < one.mean() < high
    np.testing.assert_array_equal(drawn, stats.paired_bootstrap(np.stack([one, one + 3], axis=1), draws=4000))


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20), st.sampled_from([0, 1]))
def test_z_scores_have_mean_zero_and_deviation_one(values: list[float], ddof: int) -> None:
    z = stats.z_scores(np.array(values), ddof)
    assert z.mean() == pytest.approx(0, abs=1e-6)
    if z.any():
        assert z.std(ddof=ddof) == pytest.approx(1)
        assert (np.diff(z[np.argsort(values)]) >= -1e-9).all()


def test_z_scores_of_one_value_are_not_defined_and_of_equal_values_zero() -> None:
    assert np.isnan(stats.z_scores(np.array([3.0, np.nan]))).all()
    np.testing.assert_array_equal(stats.z_scores(np.array([2.0, 2.0, np.nan])), [0, 0, np.nan])


@given(st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_ranks_are_those_of_a_fractional_ranking(values: list[int]) -> None:
    ranks = stats.ranks(np.array(values, float))
    assert ranks.sum() == pytest.approx(len(values) * (len(values) + 1) / 2)
    for i, a in enumerate(values):
        for j, b in enumerate(values):
            assert (ranks[i] < ranks[j]) == (a > b)


def test_an_unknown_value_has_no_rank_and_takes_none() -> None:
    np.testing.assert_array_equal(stats.ranks(np.array([3.0, np.nan, 5.0, 3.0])), [2.5, np.nan, 1, 2.5])


def _dominates(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] >= other[0] and one[1] <= other[1] and one != other


@given(POINTS)
def test_the_front_is_what_nothing_dominates(points: list[tuple[int | None, int | None]]) -> None:
    on = stats.pareto_front([g for g, _ in points], [c for _, c in points])
    whole = [(g, c) for g, c in points if g is not None and c is not None]
    for (gain, cost), yes in zip(points, on, strict=True):
        if gain is None or cost is None:
            assert not yes
        else:
            assert yes != any(_dominates(other, (gain, cost)) for other in whole)
    assert any(on) == bool(whole)


@given(POINTS, st.integers(0, 20))
def test_a_dominated_point_changes_nothing_and_a_twin_of_a_front_point_joins_it(
    points: list[tuple[int | None, int | None]], pick: int
) -> None:
    gains, costs = [g for g, _ in points], [c for _, c in points]
    on = stats.pareto_front(gains, costs)
    front = [i for i, yes in enumerate(on) if yes]
    if not front:
        return
    gain, cost = points[front[pick % len(front)]]
    assert gain is not None
    assert cost is not None
    assert stats.pareto_front([*gains, gain - 1], [*costs, cost + 1]) == [*on, False]
    assert stats.pareto_front([*gains, gain], [*costs, cost]) == [*on, True]


def test_first_shares_count_the_largest_of_each_draw_and_share_ties() -> None:
    draws = np.array([[3.0, 1, 1], [1, 2, 2], [0, 5, 5 - 1e-12], [7, 7, 7]])
    np.testing.assert_allclose(stats.first_shares(draws, 1e-9), [1 / 3, 1 / 3, 1 / 3])
    np.testing.assert_allclose(stats.first_shares(draws), np.array([4 / 3, 11 / 6, 5 / 6]) / 4)
