"""Instance segmentation: mask AP of the detector's head with prototypes of masks, deployed with the backbone."""

from __future__ import annotations

from tasks.base import MAPS, TaskMeta
from tasks.scoring.detection.detector import Detector
from tasks.scoring.detection.recipe import Recipe

PROTOCOL = (
    "The head of the task detection, trained and chosen in the same way, with 24 prototypes of masks and 25 "
    "coefficients a cell (YOLACT), by binary cross-entropy and dice over 28x28 points of 1.2 times the box. COCO's "
    "mask AP of the 100 best detections of a picture that the compiled plan of backbone and head emits; masks are "
    "48x48 logits over each box, interpolated at the picture's size."
)


class InstanceSegmentation(Detector):
    """Boxes and masks."""

    recipe = Recipe(kernel=3, shapes=True)
    meta = TaskMeta(
        "instance_segmentation",
        1,
        "mask_AP",
        PROTOCOL,
        recipe.settings,
        kind="shapes",
        outputs=(MAPS,),
        head="deployed",
        rereads=True,
        control=True,
    )
