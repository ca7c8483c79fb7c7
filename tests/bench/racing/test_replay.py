"""Races over finished sweeps: what they count, and what they refuse."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fake_records import Lab

from bench.racing.replay import fields, replay, replays
from bench.records.record import ScoreRecord
from bench.records.results import PUBLISHED, Results
from bench.verdict.picking import Limit
from export.errors import UserError


def finished() -> Results:
    """A sweep of five backbones on two engines."""
    lab = Lab(n_test=400)
    cells = [(backbone, engine) for backbone in lab.backbones for engine in lab.engines]
    scores = [lab.score(backbone, engine, "knn") for backbone, engine in cells]
    return Results((*scores, *(lab.timing(backbone, engine) for backbone, engine in cells)))


def test_a_replay_finds_the_best_and_counts_what_it_ran() -> None:
    [found] = replays(finished(), [], 0.05, 0.5, seeds=10)
    assert found.setting == "knn@drawings"
    assert (found.cells, found.arms, found.test) == (10, 5, 400)
    for outcome in found.outcomes:
        assert outcome.held
        assert outcome.regret <= 0.5
        # five arms see all training images; one finalist has a second cell
        assert 5 * 400 / (10 * 900) < outcome.work < 0.8
    assert found.mean("work") == pytest.approx(sum(o.work for o in found.outcomes) / 10)


def test_the_same_order_gives_the_same_race_and_another_may_not() -> None:
    [race] = fields(finished())
    assert replay(race, [], 0.05, 0.5, 1) == replay(race, [], 0.05, 0.5, 1)
    assert len({replay(race, [], 0.05, 0.5, seed).work for seed in range(8)}) > 1


def test_a_budget_narrows_what_the_race_is_compared_with() -> None:
    [race] = fields(finished())
    limit = Limit.parse("latency_p50_ms=5")
    outcome = replay(race, [limit], 0.05, 0.5, 0)
    inside = {arm.name for arm in race.arms for row in arm.cells if race.within(row, [limit])}
    assert inside == {"made_up_small", "made_up_tiny"}
    assert outcome.regret <= 0.5, "the best within the budget, not the best of all"
    assert outcome.held


def test_a_budget_that_nothing_meets_is_refused() -> None:
    with pytest.raises(UserError, match="No cell has latency_p50_ms ≤") as error:
        replays(finished(), [Limit.parse("latency_p50_ms=0.5")], 0.05, 0.5, 1)
    assert "the nearest measured cell" in error.value.why.lower()


def test_records_without_results_by_test_image_are_refused() -> None:
    bare = tuple(replace(r, per_sample=[]) if isinstance(r, ScoreRecord) else r for r in finished().records)
    with pytest.raises(UserError, match="no results for single test images"):
        list(fields(Results(bare)))


def test_tasks_that_are_not_right_or_wrong_are_no_race() -> None:
    graded = tuple(replace(r, per_sample=[50.0] * 400) if isinstance(r, ScoreRecord) else r for r in finished().records)
    with pytest.raises(UserError, match="no race in these records"):
        list(fields(Results(graded)))


def test_a_task_that_the_records_lack_is_refused() -> None:
    with pytest.raises(UserError, match="Unknown task"):
        replays(finished(), [], 0.05, 0.5, 1, tasks=["linear_probe"])


def test_the_published_records_are_raced_within_the_stated_figures() -> None:
    found = replays(Results.load(PUBLISHED), [Limit.parse("latency_p50_ms=20")], 0.05, 0.5, 5)
    assert {one.setting for one in found} >= {"knn@elpv", "knn@cifar10"}
    for one in found:
        assert one.mean("work") <= 0.3
        assert all(outcome.regret <= 0.5 for outcome in one.outcomes)
        assert all(outcome.held for outcome in one.outcomes)
