"""The model of a cluster, over made-up and published records."""

from __future__ import annotations

import pytest

from bench.cluster.simulate import simulate
from bench.records.results import PUBLISHED, Results
from export.errors import UserError


@pytest.fixture(scope="module")
def published() -> Results:
    return Results.load(PUBLISHED)


@pytest.mark.parametrize("nodes", [1, 3, 64])
def test_no_cluster_is_faster_than_the_ideal_one(published: Results, nodes: int) -> None:
    found = simulate(published, 200, nodes)
    assert 0 < found.of_ideal <= 1
    assert found.seconds >= found.work / nodes


def test_more_nodes_are_faster_and_the_work_stays_the_same(published: Results) -> None:
    one, four = simulate(published, 100, 1), simulate(published, 100, 4)
    assert one.work == pytest.approx(four.work)
    assert four.seconds < one.seconds / 3


def test_a_thousand_cells_keep_64_nodes_busy(published: Results) -> None:
    assert simulate(published, 1000, 64).of_ideal >= 0.8


def test_results_without_scores_say_nothing(published: Results) -> None:
    with pytest.raises(UserError, match="was scored"):
        simulate(Results(()), 10, 2)
