"""The scenario server on a clock that only the work moves: the rate that it must find can be computed."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from fake_clock import Scripted
from fakes import MeanColour, PillowPath, photograph, plan

from bench.figures.server import grid, turn
from bench.measure.arrivals import poisson
from bench.measure.clock import Series
from bench.measure.queries import Queries
from bench.measure.queueing import latencies
from bench.measure.scenarios.base import Settings, Setup
from bench.measure.scenarios.server import TRIALS, Server, trials
from bench.measure.slo import Slo
from bench.records.stats import quantile
from engines.base import Outputs, Pixels
from export.spec import Metric

MS = 1_000_000


class Busy(MeanColour):
    """A run takes a fixed time and a time for every image, as a batch is cheaper than its images one by one."""

    def __init__(self, clock: Scripted, fixed_ms: float, each_ms: float) -> None:
        super().__init__(plan())
        self.clock, self.fixed, self.each = clock, fixed_ms, each_ms

    def _run(self, pixels: Pixels) -> Outputs:
        self.clock.pass_by(round((self.fixed + self.each * len(pixels)) * MS))
        return super()._run(pixels)


@pytest.fixture(scope="module")
def rotation() -> Queries:
    path, encoded = PillowPath(), [photograph(i) for i in range(5)]
    return Queries(np.stack([path(e) for e in encoded]), encoded)


def measured(
    rotation: Queries, ms: float, settings: Settings, each: float = 0.0, oversleep: int = 0
) -> tuple[dict[str, Series], dict[str, Metric]]:
    clock = Scripted()
    setup = Setup(
        Busy(clock, ms, each), rotation, settings, PillowPath(), clock.now, wait=lambda due: clock.wait(due + oversleep)
    )
    run = Server().run(setup)
    return run, {m.name: m for m in Server().metrics([run], settings)}


@pytest.mark.parametrize(("ms", "seed"), [(2.0, 0), (8.0, 1), (15.0, 2)])
def test_the_highest_rate_is_within_five_percent_of_a_fine_grid(rotation: Queries, ms: float, seed: int) -> None:
    settings = Settings(5.0, seed=seed)
    run, metrics = measured(rotation, ms, settings)

    def kept(rate: float) -> bool:
        arrivals = np.array(poisson(rate, max(662, math.ceil(5 * rate)), seed), float)[:, None]
        seen = latencies(arrivals, np.full_like(arrivals, ms * MS))  # as the issuer has them: test_queueing.py
        return quantile(seen[:, 0].tolist(), 0.99) <= 50 * MS

    best = max(rate for rate in np.geomspace(150 / ms, 1000 / ms, 190) if kept(rate))
    found = metrics["server_images_per_s"]
    assert found.value == pytest.approx(best, rel=0.05)
    assert (found.value or 0) <= best * 1.011
    assert 1 < len(list(trials(run, settings))) <= TRIALS
    low, high = (metrics[f"server_{side}_images_per_s"].value or 0 for side in ("low", "high"))
    assert low <= (found.value or 0) < high
    assert (metrics["server_p99_ms"].value or 99) <= 50


def test_the_figures_grid_agrees(rotation: Queries) -> None:
    clock, settings = Scripted(), Settings(5.0)
    setup = Setup(Busy(clock, 8.0, 0), rotation, settings, PillowPath(), clock.now, wait=clock.wait)
    found = Server().metrics([Server().run(setup)], settings)[0].value or 0
    assert found / grid(setup, found, 0) == pytest.approx(1, abs=0.05)
    assert grid(setup, 1.5 * found, 0) < 1.5 * found < 2 * grid(setup, found / 1.5, 0)


def test_one_stalled_trial_does_not_move_the_grid() -> None:
    assert turn([2, 2, 2, 0, 0], 2) == 3
    assert turn([2, 1, 2, 0, 0], 2) == 3
    assert turn([2, 2, 2, 0, 1], 2) == 3
    assert turn([0, 0], 2) == 0
    assert turn([2, 2], 2) == 2


def test_every_trial_lasts_for_the_queries_that_the_percentile_needs(rotation: Queries) -> None:
    settings = Settings(20.0)
    run, _ = measured(rotation, 8.0, settings)
    for number, trial in enumerate(trials(run, settings), 1):
        series = run[f"trial_{number}"]
        assert series.rate == trial.rate
        assert series.stopped.timeout != trial.kept
        if trial.kept:
            assert len(series.samples) >= max(662, trial.rate * 20)
            assert len(run[f"service_{number}"].samples) == len(series.samples)
        else:
            assert len(series.samples) < trial.rate * 20, "the answer is known before its end"
    assert {trial.kept for trial in trials(run, settings)} == {True, False}


def test_a_bound_below_the_service_time_gets_a_sentence(rotation: Queries) -> None:
    run, metrics = measured(rotation, 60.0, Settings(1.0))
    assert list(run) == ["alone"]
    assert metrics["server_images_per_s"].value is None
    assert "the bound p99=50ms is below the service time, 60 ms" in metrics["server_images_per_s"].note


def test_a_rate_at_which_the_percentile_needs_too_long_is_not_tried(rotation: Queries) -> None:
    settings = replace(Settings(1.0), slo=Slo(0.99, 50.0))
    _, metrics = measured(rotation, 45.0, settings)
    found = metrics["server_images_per_s"]
    assert found.value is None
    assert "44.1 queries a second broke the bound; fewer need more --seconds" in found.note


def test_a_rate_that_the_issuer_does_not_keep_voids_the_trial(rotation: Queries) -> None:
    settings = Settings(1.0)
    run, metrics = measured(rotation, 8.0, settings, oversleep=3 * MS)
    assert all(trial.void for trial in trials(run, settings))
    assert metrics["server_images_per_s"].value is None
    assert metrics["server_images_per_s"].note.startswith("void: the issuer was up to 3 ms late")


def test_an_engine_without_cost_is_not_tried_beyond_what_the_issuer_can_tell(rotation: Queries) -> None:
    _, metrics = measured(rotation, 0.03, Settings(0.1))
    assert metrics["server_images_per_s"].value == 10_000
    assert "the fastest rate that is tried" in metrics["server_images_per_s"].note


def test_batches_out_of_a_queue_answer_more(rotation: Queries) -> None:
    _, alone = measured(rotation, 6.0, Settings(1.0), each=2.0)
    run, batched = measured(rotation, 6.0, Settings(1.0, queue_ms=5.0), each=2.0)
    assert (batched["server_images_per_s"].value or 0) > 1.5 * (alone["server_images_per_s"].value or 0)
    assert any(len(run[f"service_{n}"].samples) < len(run[f"trial_{n}"].samples) for n in (1, 2))


def test_bound_and_queue_are_part_of_what_is_compared() -> None:
    assert Server().asks(Settings(slo=Slo(0.9, 20.0), queue_ms=3)) == {"slo": "p90=20ms", "queue_ms": 3}
