"""The photographs from which the lower precisions of a sweep's cells are made: drawn from its own data."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from bench.sweep.cells import Planned
from engines.preprocess.catalog import orientation
from export.lower.calibration import TRAIN, VAL, CalibrationSet
from export.progress import say
from export.spec import Precision
from tasks.data.base import DataSet


def calibrated(cells: Sequence[Planned], data: DataSet) -> list[Planned]:
    """The cells with the photographs from which their lower precisions are made: a seeded draw from ``data``.

    Ranges come from its train split, choices and parity from val; test is never touched. Where nothing is val (a
    gallery and queries), part of the gallery is set apart for choices and parity: no range comes from it.

    Raises:
        UserError: a lower precision was asked for, and a split is too small.
    """
    if all(cell.made is Precision.FP32 for cell in cells):
        return list(cells)
    draw = random.Random(cells[0].sweep.seed)
    train, val = (sorted(sample.id for sample in data.split(split)) for split in ("train", "val"))
    if not val:
        say(f"calibration: {data.name} has no val split; a held-out part of its gallery takes its place")
        order = draw.sample(train, len(train))
        apart = min(VAL, len(order) // 2)
        train, val = sorted(order[apart:]), sorted(order[:apart])
    chosen = CalibrationSet(
        data.name,
        tuple(draw.sample(train, min(TRAIN, len(train)))),
        tuple(draw.sample(val, min(VAL, len(val)))),
        data.digest,
        data.read,
        orientation(cells[0].sweep.preprocess),
    )
    return [cell if cell.made is Precision.FP32 else replace(cell, calibration=chosen) for cell in cells]
