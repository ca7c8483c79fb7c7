"""How long the bootstrap takes, on made-up results as large as the largest that it is meant for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.figures.figure import Figure, figure
from bench.records import stats
from bench.records.parts import Cell, TaskSubject
from bench.records.record import Record, ScoreRecord
from bench.records.results import Results
from bench.verdict.ranking import Ranking
from bench.verdict.significance import DRAWS
from bench.verdict.table import sheet_of
from export.spec import Metric
from export.store import Store

CELLS = 20
SAMPLES = 10_000
TASKS = 6
SEEDED = 5
"""Draws of training images of every other task."""


def figures(store: Store, shared: Path) -> Iterator[Figure]:
    """Seconds of the resamples alone, and of a whole ranking."""
    size = f"{CELLS} cells of {SAMPLES:,} samples"
    yield figure(
        f"1,000 bootstrap resamples over {size}, s", bare(5), "< 10", lambda v: v < 10, "5 repeats, all paired"
    )
    how = f"{TASKS} tasks on two data sets, seeded draws too, {DRAWS:,} resamples; records to rows; 5 repeats"
    yield figure(f"A ranking of {size}, s", whole(5), "< 10", lambda v: v < 10, how)


def bare(repeats: int) -> list[float]:
    """Seconds of 1,000 paired resamples of ``CELLS`` columns of ``SAMPLES`` values, one a repeat."""
    columns = np.random.default_rng(0).normal(size=(SAMPLES, CELLS))
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        stats.paired_bootstrap(columns, draws=1000)
        found.append(time.perf_counter() - start)
    return found


def whole(repeats: int) -> list[float]:
    """Seconds from records to ranked rows with their foot, one a repeat."""
    results = Results(tuple(_records()))
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        ranking = Ranking(sheet_of(results))
        ranking.as_rows()
        ranking.foot()
        found.append(time.perf_counter() - start)
    return found


def _records() -> list[Record]:
    random = np.random.default_rng(0)
    found: list[Record] = []
    for cell in range(CELLS):
        for task in range(TASKS):
            right = 100.0 * (random.random(SAMPLES) < 0.6 + 0.01 * cell)
            value = float(right.mean())
            moves = random.normal(size=SEEDED if task % 2 else 0)
            data = f"made up {task // (TASKS // 2)}"
            found.append(
                ScoreRecord(
                    status="ok",
                    key=f"{cell} {task}",
                    cell=Cell(f"backbone {cell}", "made:up", "fp32", "cpu", (1,), 1),
                    subject=TaskSubject(task=f"task {task}", version=1, data=data, data_digest=data),
                    protocol=f"{task}",
                    metrics=(Metric.gain("accuracy", value, "%", SAMPLES),),
                    per_sample=right.tolist(),
                    per_draw=(value + moves - moves.mean()).tolist() if len(moves) else [],
                )
            )
    return found
