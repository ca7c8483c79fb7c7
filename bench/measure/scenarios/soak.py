"""Minutes of work without a pause: what is left of the first minute's speed."""

from __future__ import annotations

from typing import Any

from bench.measure.clock import Series, without_collector
from bench.measure.criterion import Stopped
from bench.measure.scenarios.base import Runs, Scenario, Settings, Setup, latency_metrics, pooled
from bench.records import stats
from export.spec import Metric

PARTS = 10
LEAST_NS = 1_000_000
"""From one query to the next: a thousand a second, so that a record stays readable."""


class Soak(Scenario):
    """One image after another for minutes, from the first run on: heat is what is measured, so nothing warms up."""

    name = "soak"
    once = True
    heats = True
    protocol = (
        "Batch 1, one query after another for the whole time, at most 1,000 a second, without a warm-up. The time is "
        "cut into ten series: the first is the start, the last the steady state."
    )

    def asks(self, settings: Settings) -> dict[str, Any]:
        return {"soak_seconds": settings.soak_seconds}

    def lasts(self, settings: Settings) -> float:
        return settings.soak_seconds / PARTS

    def takes(self, settings: Settings) -> float:
        return settings.soak_seconds

    def run(self, setup: Setup) -> dict[str, Series]:
        session, images = setup.session, setup.queries.batches(1)
        start = setup.clock()
        session.run(images[0])
        first, at, found = setup.clock() - start, 1, {}
        for part in range(1, PARTS + 1):
            begin, samples = setup.clock(), list[int]()
            end = begin
            with without_collector():
                while end - begin < setup.settings.soak_seconds / PARTS * 1e9:
                    start = setup.clock()
                    session.run(images[at % len(images)])
                    end = setup.clock()
                    samples.append(end - start)
                    at += 1
                    if end - start < LEAST_NS:
                        setup.wait(start + LEAST_NS)
            stopped = Stopped(False, f"a tenth of {setup.settings.soak_seconds:g} s", None)
            found[part_name(part)] = Series(first, [], samples, True, begin, end, stopped)
        return found

    def metered(self, runs: Runs, settings: Settings) -> dict[str, int]:
        return {part_name(PARTS): 1, part_name(1): 1}

    def metrics(self, runs: Runs, settings: Settings) -> list[Metric]:
        start, end = (pooled(runs, part_name(part)) for part in (1, PARTS))
        before, after = (stats.quantile(samples, 0.5) / 1e6 for samples in (start, end))
        return [
            *latency_metrics(end, "soak_end"),
            *latency_metrics(start, "soak_start", noise=False),
            Metric.cost("soak_drift_percent", 100 * (after / before - 1), "%", len(start) + len(end)),
        ]


def part_name(part: int) -> str:
    """The series of one tenth of the time, from 1."""
    return f"tenth_{part}"
