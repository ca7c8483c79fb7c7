"""Detection probe: box AP of a head that sees one cell at a time, so that the maps alone must tell what is there."""

from __future__ import annotations

from tasks.base import MAPS, TaskMeta
from tasks.scoring.detection.detector import Detector
from tasks.scoring.detection.recipe import Recipe

PROTOCOL = (
    "The head of the task detection with 1x1 convolutions alone, trained and chosen in the same way: it cannot learn "
    "shapes by itself, which ranks backbones further apart. COCO's box AP of the head on the maps that the cell emits."
)


class DetectionProbe(Detector):
    """The head that ranks: 1x1 convolutions."""

    recipe = Recipe(kernel=1)
    meta = TaskMeta(
        "detection_probe",
        1,
        "AP",
        PROTOCOL,
        recipe.settings,
        kind="boxes",
        outputs=(MAPS,),
        head="applied",
        rereads=True,
        control=True,
    )
