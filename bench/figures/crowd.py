"""A thousand made-up cells, for the speed of ranking and of the page: published records, multiplied.

Costs are those of a published cell times a drawn factor. Answers are drawn: a test image has a difficulty, a cell a
skill near its published score, and precisions of one backbone answer nearly alike.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bench.records.record import Record, ScoreRecord
from bench.records.results import PUBLISHED, Results
from bench.verdict.row import Row
from bench.verdict.table import rows

CELLS, IMAGES = 1000, 2000
TASKS = 4
"""On two data sets: 8 settings."""
SIZES = (128, 160, 192, 224)
STEPS = [0.5 * step for step in range(201)]
"""What an image may score where a task knows more than right and wrong. Shared: a list of new floats takes four
times the memory."""


def crowd(cells: int = CELLS, images: int = IMAGES, seed: int = 0) -> Results:
    """``cells`` cells at 8 settings of ``images`` test images, made of the published ranked cells.

    Four at a time differ in input size only.
    """
    published, _ = rows(Results.load(PUBLISHED))
    templates = [row for row in published if row.judge()[0] == "ok" and len(row.scores) > TASKS]
    random = np.random.default_rng(seed)
    difficulty = {data: random.normal(size=images) for data in {r.subject.data for r in templates[0].scores.values()}}
    tasks = sorted({r.subject.task for r in templates[0].scores.values()})[:TASKS]
    made: list[Record] = []
    for number in range(cells):
        copy, size = divmod(number // len(templates), len(SIZES))
        made += _cell(templates[number % len(templates)], copy, SIZES[size], tasks, difficulty, random)
    return Results(tuple(made))


def _cell(
    row: Row, copy: int, size: int, tasks: list[str], difficulty: dict[str, np.ndarray], random: np.random.Generator
) -> list[Record]:
    cell = replace(row.cell, backbone=f"{row.cell.backbone}_{copy}", size=f"{size}x{size}")
    about = replace(row.about, input=(size, size))
    own = np.random.default_rng([copy, *row.cell.backbone.encode()])  # what a backbone's cells share
    luck, factor = own.normal(scale=0.5), float(np.exp(own.normal(scale=0.4))) * (size / SIZES[-1]) ** 2
    found: list[Record] = []
    for record in row.records:
        record = replace(record, cell=cell, about=about, key=f"{record.key}{copy:03d}{size}")
        if isinstance(record, ScoreRecord):
            if record.subject.task in tasks:
                skill = luck + 2 * ((record.main.value or 0) / 100 - 0.3) + 0.4 * np.log2(size / SIZES[-1])
                moods = own.normal(size=len(difficulty[record.subject.data])) + random.normal(scale=0.3)
                found.append(_scored(record, skill + moods - difficulty[record.subject.data]))
        else:
            jitter = factor * float(np.exp(random.normal(scale=0.05)))
            found.append(
                replace(
                    record,
                    metrics=tuple(
                        replace(m, value=m.value and m.value * (1 / jitter if m.higher_is_better else jitter))
                        if m.unit in ("ms", "images/s", "MiB")
                        else m
                        for m in record.metrics
                    ),
                )
            )
    return found


def _scored(record: ScoreRecord, margin: np.ndarray) -> ScoreRecord:
    """The record with answers whose margins are these: right where positive, or a grade between."""
    if len(set(record.per_sample)) > 2:
        grades = np.rint(200 / (1 + np.exp(-1.5 * margin))).astype(int)
    else:
        grades = 200 * (margin > 0).astype(int)
    samples = [STEPS[g] for g in grades]
    value = float(np.mean(samples))
    error = float(np.std(samples, ddof=1)) / len(samples) ** 0.5
    main = replace(record.main, value=value, stderr=error, n=len(samples))
    subject = replace(record.subject, n_test=len(samples), protocol=f"{record.subject.protocol} Answers are made up.")
    return replace(record, subject=subject, metrics=(main, *record.metrics[1:]), per_sample=samples, per_draw=[])
