"""One image every so often, and nothing in between."""

from __future__ import annotations

import math
from typing import Any

from bench.measure.arrivals import paced
from bench.measure.clock import Series, measure
from bench.measure.criterion import Stopped
from bench.measure.issuer import issue
from bench.measure.scenarios.base import Runs, Scenario, Settings, Setup, latency_metrics, pooled
from export.spec import Metric

BEHIND = 10
"""Intervals by which an image may be late before the engine is said not to keep the rate."""


class Camera(Scenario):
    """Images at a fixed rate: between them the processor idles, slows down and loses its caches."""

    name = "camera"
    protocol = (
        "Batch 1, one image every 1/fps seconds, whether the last one is answered or not; latency counts from the time "
        "that the image was due. The pauses are slept through but for their last millisecond. A rate at which an image "
        "comes to wait for ten intervals is not kept, and has no latency."
    )

    def asks(self, settings: Settings) -> dict[str, Any]:
        return {"fps": list(settings.fps)}

    def lasts(self, settings: Settings) -> float:
        return max(_frames(fps, settings) / fps for fps in settings.fps)

    def takes(self, settings: Settings) -> float:
        return sum(_frames(fps, settings) / fps for fps in settings.fps)

    def run(self, setup: Setup) -> dict[str, Series]:
        session, settings, clock = setup.session, setup.settings, setup.clock
        images = setup.queries.batches(1)

        def query(i: int, count: int = 1) -> object:
            return session.run(images[i % len(images)])

        warm = setup.warm.get(1) or measure(query, settings.warm_up, settings.stop(2), clock)
        setup.warm.setdefault(1, warm)
        found = {}
        for fps in settings.fps:
            count = _frames(fps, settings)
            seen = issue(paced(fps, count), query, clock, setup.wait, bound_ns=BEHIND * 1e9 / fps)
            why = f"{len(seen.latency)} of {count} images"
            found[f"fps_{fps}"] = Series(
                first=warm.first,
                warm_up=[],
                samples=seen.latency,
                settled=warm.settled,
                begin_ns=seen.begin_ns,
                end_ns=seen.end_ns,
                stopped=Stopped(seen.given_up, f"too late: {why}" if seen.given_up else why, None),
                rate=float(fps),
            )
        return found

    def metered(self, runs: Runs, settings: Settings) -> dict[str, int]:
        names = [f"fps_{fps}" for fps in settings.fps]
        return {name: 1 for name in names if not any(run[name].stopped.timeout for run in runs)}

    def metrics(self, runs: Runs, settings: Settings) -> list[Metric]:
        found: list[Metric] = []
        for fps in settings.fps:
            name = f"fps_{fps}"
            metrics = latency_metrics(pooled(runs, name), f"camera_{fps}fps", noise=not found)
            if any(run[name].stopped.timeout for run in runs):
                why = f"{fps} images a second are not kept"
                metrics = [Metric.cost(m.name, None, m.unit, m.n, note=why) for m in metrics]
            found += metrics
        return found


def _frames(fps: int, settings: Settings) -> int:
    return max(settings.samples, math.ceil(fps * settings.seconds))
