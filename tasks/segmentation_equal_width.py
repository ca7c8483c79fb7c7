"""Semantic segmentation with as many channels from every feature map: a wide backbone has no advantage by its width."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tasks.base import MAPS, Batchwise, Fitted, Head, Score, Task, TaskMeta
from tasks.scoring.segmentation import linear_head
from tasks.scoring.segmentation.judging import picture_of_head, score_of_head

AXES = 32

PROTOCOL = (
    "As semantic_segmentation, each feature map reduced to its 32 whitened principal axes (of its standardised "
    "channels, at the sampled cells of train): backbones are compared at equal width. The reduction lies within the "
    "head's weights; the head is applied to the maps of the plan."
)


class SegmentationEqualWidth(Task):
    """A linear classifier of 32 principal axes of each feature map."""

    meta = TaskMeta(
        "segmentation_equal_width",
        1,
        "mIoU",
        PROTOCOL,
        linear_head.settings(AXES),
        kind="masks",
        outputs=(MAPS,),
        head="applied",
        control=True,
    )

    def fit(self, train: Batchwise, val: Batchwise, seed: int) -> Fitted:
        return linear_head.fit(train, val, seed, AXES)

    def judge(self, fitted: Fitted, test: Batchwise) -> Score:
        return score_of_head(fitted, test)

    def head(self, fitted: Fitted) -> Head:
        """The feature maps → ``logits``, as semantic_segmentation's."""
        return linear_head.head(fitted)

    def picture(
        self, fitted: Fitted, test: Batchwise, row: int, photograph: npt.NDArray[np.uint8]
    ) -> npt.NDArray[np.uint8]:
        """Photograph, truth, prediction, errors."""
        return picture_of_head(test, row, photograph)
