from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from bench.measure.arrivals import gaps, paced, poisson


def test_a_poisson_process_has_the_rate_and_the_spread_that_it_is_asked_for() -> None:
    due = poisson(200.0, 20_000, 3)
    between = np.diff(due) / 1e9
    assert len(due) / (due[-1] / 1e9) == pytest.approx(200, rel=0.03)
    assert between.std() == pytest.approx(between.mean(), rel=0.03), "exponential gaps spread as wide as their mean"
    assert all(a <= b for a, b in pairwise(due))


def test_schedules_are_drawn_from_the_seed_and_from_nothing_else() -> None:
    assert poisson(50.0, 100, 1) == poisson(50.0, 100, 1) != poisson(50.0, 100, 2)


def test_a_faster_schedule_is_the_same_one_compressed_and_a_longer_one_goes_on() -> None:
    slow, fast = np.array(poisson(50.0, 100, 1)), np.array(poisson(100.0, 150, 1))
    np.testing.assert_allclose(slow, 2 * fast[:100], atol=2)


def test_schedules_of_one_seed_differ() -> None:
    several = gaps(50, 4, 3)
    assert several.shape == (50, 3)
    assert len({tuple(column) for column in several.T}) == 3
    np.testing.assert_array_equal(several[:, :1], gaps(50, 4))


def test_a_camera_does_not_drift() -> None:
    assert paced(30, 4) == [0, 33_333_333, 66_666_667, 100_000_000]
    assert paced(30, 3001)[-1] == 100 * 10**9
