"""What a timing child costs besides what it measures: imports, loading the plan, warming up, and ending.

The child is the demo's own, with all its scenarios: each figure is the wall time of :func:`bench.measure.runner.run`
less the steady state of every series. Every repeat takes each cell once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from bench.figures.deployed import deployed
from bench.figures.figure import Figure, data_of, figure
from bench.figures.photographs import imagenet
from bench.measure import runner
from bench.measure.machine import processor
from bench.measure.queries import COUNT
from bench.measure.scenarios.base import Settings
from bench.measure.worker import Job, Outcome
from bench.sweep.rotation import prepare
from bench.sweep.spec import read
from engines.base import EngineSpec
from engines.catalog import BASELINE, engine
from export.errors import CellError
from export.store import Store

BACKBONES = ("mobilenetv2", "resnet50_augnet")
LIMIT, LIMIT_BASELINE = 3.0, 2.0
"""Seconds; the baseline computes nothing."""
REPEATS = 5


def figures(store: Store, shared: Path) -> Iterator[Figure]:
    """One for each backbone and engine that runs here."""
    names = (BASELINE, *read().engines)
    cells = [(model, name) for model in BACKBONES for name in names if engine(name).available().ok]
    jobs = {cell: job(*cell, store) for cell in cells}
    found: dict[tuple[str, str], list[tuple[float, float]]] = {cell: [] for cell in cells}
    for _ in range(REPEATS):
        for cell, one in jobs.items():
            found[cell].append(seconds(one))
    for (model, name), pairs in found.items():
        limit = LIMIT_BASELINE if name == BASELINE else LIMIT
        beside = [wall - measured for wall, measured in pairs]
        yield figure(
            f"A timing child besides what it measures ({model}, {name}), s",
            beside,
            f"≤ {limit:g}",
            lambda v, limit=limit: v <= limit,  # type: ignore[misc]
            f"of {pairs[0][0]:.1f} s in all; {REPEATS} interleaved repeats on {processor()}",
        )


def job(model: str, name: str, store: Store) -> Job:
    """The demo's job for one cell in fp32; everything that it needs is built."""
    sweep = read()
    made = deployed(store, model, EngineSpec.parse(name), sweep.batches)
    return Job(
        store=str(store.root),
        engine=made.engine.spec.name,
        provider=made.engine.spec.provider,
        threads=sweep.threads,
        onnx_key=made.plan.artifact.key,
        batches=sweep.batches,
        preprocess=sweep.preprocess,
        queries_key=prepare(data_of(imagenet(store)[:COUNT]), made.path, sweep.seed, store).key,
        scenarios=tuple(sweep.scenarios),
        settings=Settings(seconds=sweep.seconds),
    )


def seconds(job: Job) -> tuple[float, float]:
    """(wall time of the child, what of it was steady state).

    Raises:
        CellError: the child failed.
    """
    start = time.perf_counter()
    outcome = runner.run(job)
    wall = time.perf_counter() - start
    if outcome.failure:
        raise CellError(outcome.failure.what, outcome.failure.why)
    return wall, measured(outcome)


def measured(outcome: Outcome) -> float:
    """Seconds of steady state; what was timed within another series counts once."""
    windows = {(s.begin_ns, s.end_ns) for series in outcome.series.values() for s in series.values()}
    return sum(end - begin for begin, end in windows) / 1e9
