"""Deployed heads compared with the same heads on eager fp32 backbones, image by image, on what both emit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.sweep.cells import Planned
from bench.sweep.damage import reference_of
from bench.sweep.scoring import Judged, Scoring
from export.errors import UserError
from export.parity import cosine
from export.progress import say
from tasks.base import Score, Task
from tasks.data.base import DataSet
from tasks.scoring.resampling import Difference, paired_difference

BLOCK = 16
"""Images whose outputs are compared at once."""


@dataclass(frozen=True)
class HeadRow:
    """One deployed head on one data set.

    Attributes:
        metric: the task's main one. reference: its value in eager fp32.
        change: deployed less reference, with its paired 95 % interval.
        cosine_mean, cosine_least: of an image's outputs. worst: the id of the image with the least.
    """

    cell: str
    data: str
    task: str
    metric: str
    reference: float
    change: Difference
    cosine_mean: float
    cosine_least: float
    worst: str


def compared_heads(cells: Sequence[Planned], images: DataSet) -> Iterator[HeadRow | UserError]:
    """A row for each cell that is scored and each head on this data set, or why there is none."""
    with ExitStack() as stack:
        references: dict[tuple[str, str], tuple[Score, Judged]] = {}
        for planned in cells:
            if not (planned.availability.ok and planned.engine.computes) or planned.backbone.untrained:
                continue
            for _, scorer in planned.deployed([images]):
                of = planned.cell.network, scorer.meta.name
                try:
                    if of not in references:
                        twin = stack.enter_context(Scoring(reference_of(planned), [(images, scorer)]))
                        references[of] = _judged(twin, images, scorer)
                    yield _row(planned, images, scorer, *references[of])
                except UserError as error:
                    say(f"{planned.cell}: failed: {error}")
                    yield error


def _row(planned: Planned, images: DataSet, scorer: Task, before: Score, reference: Judged) -> HeadRow:
    with Scoring(planned, [(images, scorer)]) as scoring:
        after, found = _judged(scoring, images, scorer)
        close = _cosines(reference, found, found.plan.artifact.compared)
    change = paired_difference(after.per_sample, before.per_sample, planned.sweep.seed)
    least, main = int(close.argmin()), before.main
    worst = images.split("test")[least].id
    values = (main.value or 0.0, change, float(close.mean()), float(close[least]))
    return HeadRow(str(planned.cell), images.name, scorer.meta.name, main.name, *values, worst)


def _judged(scoring: Scoring, images: DataSet, scorer: Task) -> tuple[Score, Judged]:
    fit = scoring.fitted(images, scorer)
    judged = scoring.judged(images, scorer, fit)
    return scorer.judge(fit, judged.test), judged


def _cosines(reference: Judged, found: Judged, names: Sequence[str]) -> npt.NDArray[np.float64]:
    """The least cosine of an image's compared outputs, float64 [n]."""
    close: list[float] = []
    for start in range(0, len(found.test), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(found.test)))
        one, other = reference.test.at(rows), found.test.at(rows)
        close += [
            min(cosine(one[name][i].ravel().astype(float), other[name][i].ravel().astype(float)) for name in names)
            for i in range(len(rows))
        ]
    return np.array(close)
