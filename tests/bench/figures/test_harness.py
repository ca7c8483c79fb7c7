from __future__ import annotations

import time

import numpy as np
from fakes import MeanColour, PillowPath, photograph, plan

from bench.figures.harness import bare, overhead
from bench.measure.queries import Queries
from engines.base import Outputs, Pixels


class Sleeping(MeanColour):
    """A session that takes two milliseconds."""

    def _run(self, pixels: Pixels) -> Outputs:
        time.sleep(0.002)
        return super()._run(pixels)


def queries() -> Queries:
    path, encoded = PillowPath(), [photograph(i) for i in range(4)]
    return Queries(np.stack([path(e) for e in encoded]), encoded)


def test_the_harness_is_compared_with_a_loop_over_the_same_session() -> None:
    session = Sleeping(plan())
    found = overhead(session, PillowPath(), queries(), 0.05, 3)
    assert len(found) == 3
    assert all(ratio > 0 for ratio in found)
    assert set(session.seen) == {1}


def test_the_loop_times_runs() -> None:
    session = Sleeping(plan())
    assert bare(session, queries().batches(1), 0.05) >= 2e6  # no sleep is shorter than was asked for
    assert len(session.seen) > 4
