"""Who leaves a race: the chances are exact, and the best is lost no more often than is stated."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.racing.elimination import Bools, Stakes, chance, eliminated, most, settled
from bench.racing.race import Fit, Race
from bench.racing.rungs import rungs


def exact(ahead: int, total: int, seen: int, wins: int) -> float:
    """By counting: the probability of at least ``wins`` among ``seen`` of ``total``, ``ahead`` of which are wins."""
    draws = list(combinations(range(total), seen))
    return sum(sum(i < ahead for i in draw) >= wins for draw in draws) / len(draws)


@given(wins=st.integers(0, 4), losses=st.integers(0, 3), unseen=st.integers(0, 3))
def test_the_chance_is_the_largest_one_under_which_the_loser_is_as_good(wins: int, losses: int, unseen: int) -> None:
    seen = wins + losses
    worst = max(
        (
            exact(ahead, ahead + behind, seen, wins)
            for ahead in range(wins, wins + unseen + 1)
            for behind in range(max(losses, ahead), losses + unseen + 1)
            if ahead + behind <= seen + unseen
        ),
        default=0.0,
    )
    found = float(chance(np.array(wins), np.array(losses), unseen))
    assert found == pytest.approx(worst) if wins > losses else found in (0.0, 1.0)
    assert found >= worst - 1e-9, "it bounds every way in which the unseen images could turn out"


@pytest.mark.parametrize(("wins", "losses", "unseen"), [(9, 1, 31), (12, 3, 60), (20, 10, 200), (8, 0, 30)])
def test_the_chance_grows_with_what_is_unseen(wins: int, losses: int, unseen: int) -> None:
    found = [float(chance(np.array(wins), np.array(losses), more)) for more in range(2, unseen, 2)]
    assert found == sorted(found)
    sign_test = sum(comb(wins + losses, w) for w in range(wins, wins + losses + 1)) / 2 ** (wins + losses)
    assert found[-1] < sign_test, "which it becomes where test images never end"


@given(count=st.integers(0, 10), rest=st.integers(0, 10), unseen=st.integers(0, 60))
def test_the_interval_s_end_is_the_last_that_is_not_refuted(count: int, rest: int, unseen: int) -> None:
    from scipy.stats import hypergeom

    seen, total = count + rest, count + rest + unseen
    end = most(count, seen, total, 0.1)
    assert count <= end <= count + unseen
    assert end == count or hypergeom.cdf(count, total, end, seen) > 0.1
    assert end == count + unseen or hypergeom.cdf(count, total, end + 1, seen) <= 0.1


def test_no_chance_is_left_once_all_images_were_seen() -> None:
    assert float(chance(np.array(1), np.array(0), 0)) == 0.0
    assert float(chance(np.array(3), np.array(3), 0)) == 1.0
    assert float(chance(np.array(0), np.array(0), 0)) == 1.0, "two that answer alike"


class Drawn:
    """Arms whose answers are known, shown in an order."""

    def __init__(self, right: Bools, order: np.ndarray) -> None:
        self.right, self.order, self.shown = right, order, 0

    def answers(self, arm: int, images: int) -> Bools:
        self.shown += images
        return np.asarray(self.right[arm][self.order[:images]])

    def may(self, arms: object, images: int) -> bool:
        return True

    def measure(self, arm: int) -> Fit:
        return "able"

    def told(self, elimination: object) -> None:
        return None


def race(right: Bools, seed: int, delta: float = 0.1, tolerance: float = 0.5) -> Race:
    """A race to its end."""
    course = Drawn(right, np.random.default_rng(seed).permutation(right.shape[1]))
    found = Race(Stakes(len(right), rungs(right.shape[1]), delta, tolerance), course, [True] * len(right))
    found.run()
    return found


def equal_arms(arms: int, images: int, share: float, seed: int) -> Bools:
    """Arms that are right on the same number of images, mostly not on the same ones; the first on one more."""
    random = np.random.default_rng(seed)
    right = np.zeros((arms, images), np.bool_)
    for row in right:
        row[random.permutation(images)[: int(share * images)]] = True
    right[0, np.flatnonzero(~right[0])[0]] = True
    return right


@pytest.mark.parametrize(("arms", "images", "share"), [(2, 400, 0.5), (8, 400, 0.7), (5, 1600, 0.6)])
def test_the_best_is_lost_in_no_more_races_than_stated(arms: int, images: int, share: float) -> None:
    """The hardest case: nothing but the order of the images tells the arms apart. An arm within the tolerance stays as
    good as the best, so that here the tolerance is 0."""
    delta, races = 0.2, 150
    lost = sum(
        0 not in race(equal_arms(arms, images, share, seed), seed, delta, tolerance=0.0).finalists
        for seed in range(races)
    )
    assert lost <= delta * races


def test_a_race_does_eliminate_early() -> None:
    """A guard against a bound that holds because nothing ever leaves."""
    random = np.random.default_rng(1)
    right = random.random((6, 2000)) < np.array([0.9, 0.7, 0.7, 0.6, 0.6, 0.5])[:, None]
    found = race(right, 0)
    assert found.finalists == [0]
    assert found.end == "one left"
    assert found.seen <= 400
    assert {one.by for one in found.out.values()} == {0}


@given(seed=st.integers(0, 40), arms=st.integers(2, 6), images=st.sampled_from([60, 130, 300]))
def test_in_the_end_nobody_is_left_who_is_worse_by_more_than_the_tolerance(seed: int, arms: int, images: int) -> None:
    random = np.random.default_rng(seed)
    right = random.random((arms, images)) < random.uniform(0.4, 0.9, arms)[:, None]
    found = race(right, seed, tolerance=2.0)
    scores = 100 * right.mean(axis=1)
    if found.seen == images and found.end == "all test images":
        assert min(scores[found.finalists]) >= max(scores[found.inside]) - 2.0 - 1e-9
    assert found.finalists


def test_only_an_arm_that_the_budget_allows_eliminates() -> None:
    rows: list[Bools | None] = [np.ones(100, np.bool_), np.zeros(100, np.bool_)]
    stakes = Stakes(2, (50, 100))
    assert [one.arm for one in eliminated(rows, [True, True], stakes)] == [1]
    assert not eliminated(rows, [False, True], stakes)
    assert not eliminated(rows, [False, False], stakes)


def test_arms_that_differ_by_less_than_the_tolerance_are_settled_without_the_last_image() -> None:
    same = np.random.default_rng(0).random(4000) < 0.8
    twins: list[Bools | None] = [same[:1000], same[:1000].copy()]
    twins[1][3] ^= True  # type: ignore[index]
    assert settled(twins, [True, True], Stakes(2, (500, 1000, 4000), tolerance=3.0)) is not None
    assert settled(twins, [True, True], Stakes(2, (500, 1000, 4000), tolerance=0.0)) is None
    assert settled(twins, [False, False], Stakes(2, (500, 1000, 4000), tolerance=3.0)) is None


def test_a_finalist_that_breaks_the_budget_gives_back_whom_it_alone_eliminated() -> None:
    random = np.random.default_rng(3)
    right = random.random((3, 400)) < np.array([0.95, 0.7, 0.5])[:, None]

    class Dear(Drawn):
        def measure(self, arm: int) -> Fit:
            return "unfit" if arm == 0 else "able"

    course = Dear(right, np.arange(400))
    found = Race(Stakes(3, rungs(400)), course, [True] * 3)
    found.run()
    assert found.unfit == {0}
    assert [arm for arm, fit in found.measured.items() if fit == "able"] == [1]
    assert found.out[2].by == 1
    assert found.finalists == [1]


def test_a_finalist_in_a_lower_precision_stays_but_eliminates_nobody() -> None:
    right = np.random.default_rng(3).random((2, 400)) < np.array([0.95, 0.7])[:, None]

    class Lowered(Drawn):
        def measure(self, arm: int) -> Fit:
            return "lowered" if arm == 0 else "able"

    found = Race(Stakes(2, rungs(400)), Lowered(right, np.arange(400)), [True, True])
    found.run()
    assert set(found.measured) == {0, 1}
    assert not found.out


def test_without_time_for_a_rung_all_that_are_in_are_left() -> None:
    right = np.random.default_rng(0).random((3, 400)) < 0.5

    class Hurried(Drawn):
        def may(self, arms: object, images: int) -> bool:
            return images < 100

    found = Race(Stakes(3, rungs(400)), Hurried(right, np.arange(400)), [True] * 3)
    found.run()
    assert found.end == "minutes"
    assert found.seen == 50
    assert sorted(found.finalists) == [0, 1, 2]
