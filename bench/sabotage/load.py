"""Traps of load: pauses between queries, and queries that do not wait for each other."""

from __future__ import annotations

import time

import numpy as np

from bench.measure.arrivals import poisson
from bench.measure.issuer import issue
from bench.measure.scenarios.base import Settings
from bench.measure.scenarios.camera import Camera
from bench.records import stats
from bench.sabotage.bed import Bed
from bench.sabotage.slow import bare, sleeping
from bench.sabotage.trap import Answer, Traps, require, require_bite
from engines.base import Outputs, Pixels, Session
from engines.catalog import BASELINE

LOAD = Traps("timing")


@LOAD.add(
    "pauses",
    9,
    "pauses hidden by a back-to-back loop",
    "a clock that falls asleep after 30 ms, and costs 20 ms to wake",
    "flagged",
)
def pauses(bed: Bed) -> Answer:
    """One image every so often is a scenario of its own, with columns of its own."""
    last = 0.0

    def run(true: Session, pixels: Pixels) -> Outputs:
        nonlocal last
        if time.monotonic() - last > 0.03:
            time.sleep(0.02)
        found = true.run(pixels)
        last = time.monotonic()
        return found

    session = bed.session(run, BASELINE)
    naive = float(np.median(bare(session, bed.queries.batches(1))))
    found = bed.timed(session, Settings(0.3, samples=10, fps=(10,)), Camera.name)
    p50 = found["camera_10fps_p50_ms"].value or 0.0
    require_bite(naive < 10, f"a loop sees {naive:.2f} ms")
    require(p50 >= 20, f"the camera sees {p50:.2f} ms")
    return Answer("flagged", f"latency at 10 images a second has a column of its own: {p50:.1f} ms", f"{naive:.3f} ms")


@LOAD.add("omission", 10, "coordinated omission", "one query of 130 takes 400 ms, at 100 queries a second", "unmoved")
def omission(bed: Bed) -> Answer:
    """Arrivals are drawn beforehand, and latency counts from the scheduled time."""
    stall = sleeping(lambda i: 0.4 if i == 40 else 0)
    closed = bare(bed.session(stall, BASELINE), bed.queries.batches(1), 130)
    session, images = bed.session(sleeping(lambda i: 0.4 if i == 40 else 0), BASELINE), bed.queries.batches(1)
    seen = issue(poisson(100, 130, 0), lambda first, count: session.run(images[first % len(images)]))
    naive, p90 = stats.quantile(closed, 0.9), stats.quantile(seen.latency, 0.9) / 1e6
    require_bite(naive < 50, f"a closed loop has a p90 of {naive:.1f} ms")
    require(p90 > 50, f"p90 {p90:.1f} ms")
    return Answer(
        "unmoved",
        f"p90 {p90:.0f} ms: every query that came while it stood still counts",
        f"p90 {naive:.3f} ms: one query was late",
    )
