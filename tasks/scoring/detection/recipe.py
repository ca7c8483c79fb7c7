"""What makes one detector differ from another, and every constant that they share."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

WIDTH = 64
GROUPS = 8
STRIDE = 8
"""Pixels of the network's input that a cell of the head's grid is wide and high, at most."""
EPSILON = 1e-5
SHARED = "shared"
BRANCHES: dict[str, tuple[str, ...]] = {"what": ("heat",), "where": ("sides",)}
SHAPE_BRANCH: dict[str, tuple[str, ...]] = {"shape": ("prototypes", "coefficients")}
"""After a block (convolution, norm, ReLU) that all share, a block each for classes, for boxes and, where there are
masks, for these; and what is predicted from it. With two shared ones, 18 classes are learned far more slowly. Cheaper
forms had a lower AP on val of BCCD (one seed each; as it is: 49.0): all three separable 45.6, branches of 1x1
convolutions 46.5, none that all share 47.2. Masks predicted from the block for boxes: box AP 36.5 on val of car parts
(the better of two seeds) against 39.1 (one seed)."""
LARGEST = 6.0
"""Of the logarithm of a distance from a cell's centre to a side, in units of the scale: what is more is cut off."""
TRIAL_EPOCHS, EPOCHS = 3, 12
"""Of a training that compares rates, and of one that is kept: the rate rises and falls within each."""
RATES = (2e-3, 5e-3)
SEEDS = 2
BATCH = 4
DECAY = 1e-2
CLIP = 10.0
GAUSSIAN = 0.54
"""How much of a box's width and height its Gaussian spans (alpha and beta of TTFNet)."""
BOX_WEIGHT = 5.0
MASK_WEIGHT = 2.0
DETECTIONS = 100
"""Detections in a picture, at least; see :func:`detections`."""
PROTOTYPES = 24
MASK_SIDE = 48
ROI_SIDE = 28
ROI_SCALE = 1.2
ROIS = 24


@dataclass(frozen=True)
class Recipe:
    """Which detector.

    Attributes:
        kernel: side of the convolutions between the laterals and the predictions: 3 or 1.
        shapes: it gives masks too.
    """

    kernel: int
    shapes: bool = False

    @property
    def branches(self) -> dict[str, tuple[str, ...]]:
        """The blocks after the shared one, and what is predicted from each."""
        return {**BRANCHES, **SHAPE_BRANCH} if self.shapes else BRANCHES

    @property
    def settings(self) -> dict[str, Any]:
        """Every constant of the protocol (JSON values)."""
        shared = {
            "width": WIDTH,
            "groups": GROUPS,
            "stride": STRIDE,
            "trial_epochs": TRIAL_EPOCHS,
            "epochs": EPOCHS,
            "rates": list(RATES),
            "seeds": SEEDS,
            "batch": BATCH,
            "decay": DECAY,
            "clip": CLIP,
            "gaussian": GAUSSIAN,
            "box_weight": BOX_WEIGHT,
            "detections": DETECTIONS,
        }
        masks = {
            "branches": list(self.branches),
            "mask_weight": MASK_WEIGHT,
            "prototypes": PROTOTYPES,
            "mask_side": MASK_SIDE,
            "roi_side": ROI_SIDE,
            "roi_scale": ROI_SCALE,
            "rois": ROIS,
        }
        return {**asdict(self), **shared, **(masks if self.shapes else {})}


def detections(most: int) -> int:
    """How many objects a head reports in a picture: 100, or ``most`` in a train image rounded up to hundreds."""
    return max(DETECTIONS, -(-most // 100) * 100)
