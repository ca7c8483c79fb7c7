"""Deployed cells compared with eager fp32, image by image, on features from the store or extracted now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bench.sweep.cells import Planned
from bench.sweep.view import View
from engines.base import EngineSpec
from engines.catalog import REFERENCE, engine
from export.errors import UserError
from export.progress import say
from export.spec import Precision
from tasks.base import FEATURES, Splits
from tasks.data.base import DataSet
from tasks.scoring.damage import Damage, damage


@dataclass(frozen=True)
class Row:
    """One deployed cell on one data set."""

    cell: str
    data: str
    damage: Damage


def compared(cells: Sequence[Planned], images: DataSet) -> Iterator[Row | UserError]:
    """A row for each cell that is scored, or why there is none."""
    references: dict[str, Splits] = {}
    for planned in cells:
        if not (planned.availability.ok and planned.engine.computes) or planned.backbone.untrained:
            say(f"{planned.cell}: skipped: {planned.availability.reason or 'it is never scored'}")
            continue
        try:
            name = planned.cell.network
            if name not in references:
                references[name] = _features(reference_of(planned), images)
            yield Row(str(planned.cell), images.name, damage(references[name], _features(planned, images)))
        except UserError as error:
            say(f"{planned.cell}: failed: {error}")
            yield error


def reference_of(planned: Planned) -> Planned:
    """The same backbone in eager fp32."""
    eager = engine(EngineSpec(REFERENCE, threads=planned.sweep.threads))
    return replace(planned, engine=eager, availability=eager.require(), precision=Precision.FP32, calibration=None)


def _features(planned: Planned, images: DataSet) -> Splits:
    with View(planned, planned.plan(planned.throughput)) as view:
        return view.splits(images, [FEATURES])
