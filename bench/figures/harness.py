"""What the harness adds to a query: p50 of the single_stream scenario beside a bare loop over the same session."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import numpy as np

from bench.figures.deployed import on_each_engine
from bench.figures.figure import Figure, figure, ratios
from bench.figures.photographs import imagenet
from bench.measure.queries import COUNT, Queries
from bench.measure.scenarios.base import Settings, Setup
from bench.measure.scenarios.catalog import scenario
from engines.base import Pixels, Session
from engines.preprocess.base import Preprocess
from export.store import Store

SECONDS, REPEATS = 3.0, 7


def figures(store: Store, shared: Path) -> Iterator[Figure]:
    """One for each engine of the demo."""
    encoded = imagenet(store)[:COUNT]
    for name, session, path in on_each_engine(store, "efficientnet_lite0", (1,)):
        queries = Queries(np.stack([path(e) for e in encoded]), encoded)
        yield figure(
            f"SingleStream p50, harness / bare loop ({name})",
            overhead(session, path, queries, SECONDS, REPEATS),
            "≤ 1.01",
            lambda v: v <= 1.01,
            f"EfficientNet-Lite0, batch 1, {COUNT} photographs, {REPEATS} interleaved repeats of {SECONDS:g} s",
        )


def overhead(session: Session, path: Preprocess, queries: Queries, seconds: float, repeats: int) -> list[float]:
    """p50 of the scenario over that of the loop, one a repeat."""
    images = queries.batches(1)

    def harness() -> float:
        found = scenario("single_stream").run(Setup(session, queries, Settings(seconds), path))
        return median(found["latency"].samples)

    return ratios(harness, lambda: bare(session, images, seconds), repeats)


def bare(session: Session, images: Sequence[Pixels], seconds: float) -> float:
    """The median, in ns, of a loop that does nothing but run and time, after a run of each image."""
    for image in images:
        session.run(image)
    times: list[int] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter_ns()
        session.run(images[len(times) % len(images)])
        times.append(time.perf_counter_ns() - start)
    return median(times)
