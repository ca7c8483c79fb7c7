"""Object detection: box AP of a small head without anchors, trained on frozen maps and deployed with the backbone."""

from __future__ import annotations

from tasks.base import MAPS, TaskMeta
from tasks.scoring.detection.detector import Detector
from tasks.scoring.detection.recipe import Recipe

PROTOCOL = (
    "Head without anchors on frozen maps of all taps: 1x1 laterals to 64 channels, summed at stride 8, a 3x3 "
    "convolution, then one each for classes and for boxes; trained with TTFNet's targets "
    "(Gaussian per class by CenterNet's focal loss, box sides by GIoU), AdamW: the rate of {2e-3, 5e-3} by AP on val "
    "after 3 epochs; at that rate two seeds of 12 epochs, the better by AP on val. COCO's box AP of what the compiled "
    "plan of backbone and head emits."
)


class Detection(Detector):
    """The head that ships: 3x3 convolutions."""

    recipe = Recipe(kernel=3)
    meta = TaskMeta(
        "detection",
        1,
        "AP",
        PROTOCOL,
        recipe.settings,
        kind="boxes",
        outputs=(MAPS,),
        head="deployed",
        rereads=True,
        control=True,
    )
