from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from fake_clock import Scripted
from fakes import MeanColour, PillowPath, photograph, plan

from bench.measure.queries import Queries
from bench.measure.scenarios.base import Settings, Setup
from bench.measure.scenarios.soak import PARTS, Soak
from engines.base import Outputs, Pixels

MS = 1_000_000


class Heating(MeanColour):
    """Takes 10 ms, and 15 ms once 30 seconds have passed; or nothing at all."""

    def __init__(self, clock: Scripted, ms: int = 10) -> None:
        super().__init__(plan())
        self.clock, self.ms = clock, ms

    def _run(self, pixels: Pixels) -> Outputs:
        self.clock.pass_by(self.ms * (3 if self.clock.time > 30_000 * MS else 2) // 2 * MS)
        return super()._run(pixels)


@pytest.fixture(scope="module")
def rotation() -> Queries:
    path, encoded = PillowPath(), [photograph(i) for i in range(5)]
    return Queries(np.stack([path(e) for e in encoded]), encoded)


def test_the_start_is_compared_with_the_steady_state(rotation: Queries) -> None:
    clock, settings = Scripted(), Settings(1.0, soak_seconds=60)
    run = Soak().run(Setup(Heating(clock), rotation, settings, PillowPath(), clock.now, wait=clock.wait))
    assert len(run) == PARTS
    series = list(run.values())
    assert all(6000 * MS <= s.end_ns - s.begin_ns <= 6015 * MS for s in series)
    assert all(a.end_ns <= b.begin_ns for a, b in pairwise(series))
    metrics = {m.name: m.value for m in Soak().metrics([run], settings)}
    assert metrics["soak_start_p50_ms"] == 10
    assert metrics["soak_end_p50_ms"] == 15
    assert metrics["soak_drift_percent"] == pytest.approx(50)


def test_what_takes_no_time_is_asked_a_thousand_times_a_second(rotation: Queries) -> None:
    clock, settings = Scripted(), Settings(0.1, soak_seconds=1)
    run = Soak().run(Setup(Heating(clock, 0), rotation, settings, PillowPath(), clock.now, wait=clock.wait))
    assert sum(len(series.samples) for series in run.values()) == pytest.approx(1000, abs=PARTS)
