"""How long the bootstrap takes, on made-up results as large as the largest that it is meant for."""

from __future__ import annotations

import time

import numpy as np

from bench.records import stats
from bench.records.record import Cell, Record
from bench.records.results import Results
from bench.verdict.ranking import Ranking
from bench.verdict.table import sheet_of
from export.spec import Metric

CELLS = 20
SAMPLES = 10_000
TASKS = 6
SEEDED = 5
"""Draws of training images of every other task."""


def bare(repeats: int) -> list[float]:
    """Seconds of 1,000 paired draws over ``CELLS`` columns of ``SAMPLES`` values, one a repeat."""
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
    found = []
    for cell in range(CELLS):
        for task in range(TASKS):
            right = 100.0 * (random.random(SAMPLES) < 0.6 + 0.01 * cell)
            value = float(right.mean())
            moves = random.normal(size=SEEDED if task % 2 else 0)
            data = f"made up {task // (TASKS // 2)}"
            found.append(
                Record(
                    kind="score",
                    status="ok",
                    key=f"{cell} {task}",
                    cell=Cell(f"backbone {cell}", "made:up", "fp32", "cpu", (1,), 1),
                    subject={"task": f"task {task}", "data": data, "data_digest": data},
                    protocol=f"{task}",
                    metrics=(Metric.gain("accuracy", value, "%", SAMPLES),),
                    per_sample=right.tolist(),
                    per_draw=(value + moves - moves.mean()).tolist() if len(moves) else [],
                )
            )
    return found
