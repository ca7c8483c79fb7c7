from __future__ import annotations

import numpy as np
import pytest
from fake_clock import Scripted
from fakes import MeanColour, PillowPath, photograph, plan

from bench.measure.queries import Queries
from bench.measure.scenarios.base import Settings, Setup
from bench.measure.scenarios.camera import Camera
from engines.base import Outputs, Pixels

MS = 1_000_000


class Sleepy(MeanColour):
    """A run takes 4 ms, and 40 ms after a pause of 100 ms: the clock has gone down, the caches are cold."""

    def __init__(self, clock: Scripted) -> None:
        super().__init__(plan())
        self.clock, self.last = clock, 0

    def _run(self, pixels: Pixels) -> Outputs:
        self.clock.pass_by(40 * MS if self.clock.time - self.last > 100 * MS else 4 * MS)
        self.last = self.clock.time
        return super()._run(pixels)


@pytest.fixture(scope="module")
def rotation() -> Queries:
    path, encoded = PillowPath(), [photograph(i) for i in range(5)]
    return Queries(np.stack([path(e) for e in encoded]), encoded)


def test_what_a_pause_costs_is_seen(rotation: Queries) -> None:
    """Back to back, the same session takes 4 ms (pitfall 9)."""
    clock, settings = Scripted(), Settings(1.0, fps=(5, 30))
    run = Camera().run(Setup(Sleepy(clock), rotation, settings, PillowPath(), clock.now, wait=clock.wait))
    assert list(run) == ["fps_5", "fps_30"]
    assert [len(series.samples) for series in run.values()] == [64, 64]
    assert [series.rate for series in run.values()] == [5, 30]
    metrics = {m.name: m.value for m in Camera().metrics([run, run], settings)}
    assert metrics["camera_5fps_p50_ms"] == 40
    assert metrics["camera_30fps_p50_ms"] == 4
    assert metrics["camera_30fps_p90_ms"] == 4


def test_a_rate_that_is_not_kept_has_no_latency(rotation: Queries) -> None:
    clock, settings = Scripted(), Settings(1.0, fps=(30, 300))
    run = Camera().run(Setup(Sleepy(clock), rotation, settings, PillowPath(), clock.now, wait=clock.wait))
    assert len(run["fps_300"].samples) < 300
    assert run["fps_300"].stopped.reason.startswith("too late: ")
    metrics = {m.name: m for m in Camera().metrics([run], settings)}
    assert metrics["camera_30fps_p50_ms"].value == 4
    assert metrics["camera_300fps_p50_ms"].value is None
    assert metrics["camera_300fps_p50_ms"].note == "300 images a second are not kept"


def test_the_main_figure_is_of_the_first_rate_and_rates_are_part_of_what_is_compared() -> None:
    assert Camera().asks(Settings(fps=(1, 10))) == {"fps": [1, 10]}
