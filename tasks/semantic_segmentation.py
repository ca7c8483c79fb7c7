"""Semantic segmentation by a linear head on frozen feature maps, one that ships: its plan is judged and timed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tasks.base import MAPS, Batchwise, ClassMap, Fitted, Head, Score, Task, TaskMeta
from tasks.scoring.segmentation import linear_head
from tasks.scoring.segmentation.judging import picture_of_head, score_of_head

PROTOCOL = (
    "Linear head: one 1×1 convolution a feature map at its own stride, logits enlarged bilinearly to the finest map "
    "and summed. Logistic regression (L-BFGS) on 256 cells of every training image, at most 131,072 in all; soft "
    "labels are the shares of the classes in a cell, classes weighted by frequency^-0.5, channels standardised; "
    "λ of 1e-2, 1e-3, 1e-4 chosen by mIoU on val. Judged: logits of the plan, bilinear to the mask's size; mIoU over "
    "the classes in test's masks, void and padding left out."
)


class SemanticSegmentation(Task):
    """A linear classifier of the cells of all feature maps."""

    meta = TaskMeta(
        "semantic_segmentation",
        1,
        "mIoU",
        PROTOCOL,
        linear_head.settings(None),
        kind="masks",
        outputs=(MAPS,),
        head="deployed",
        control=True,
    )

    def fit(self, train: Batchwise, val: Batchwise, seed: int) -> Fitted:
        return linear_head.fit(train, val, seed)

    def judge(self, fitted: Fitted, test: Batchwise) -> Score:
        return score_of_head(fitted, test)

    def head(self, fitted: Fitted) -> Head:
        """The feature maps → ``logits``, float32 [n, classes, h, w] on the grid of the finest map."""
        return linear_head.head(fitted)

    def shipped(self, fitted: Fitted, class_map: ClassMap = "") -> Head:
        """The same with a second output ``classes``, uint8 or int32 [n, h, w], where a map of classes is asked for."""
        head = self.head(fitted)
        if not class_map:
            return head
        spec = fitted.train.spec
        assert spec is not None
        return linear_head.class_map(head, (spec.height, spec.width) if class_map == "full" else None)

    def picture(
        self, fitted: Fitted, test: Batchwise, row: int, photograph: npt.NDArray[np.uint8]
    ) -> npt.NDArray[np.uint8]:
        """Photograph, truth, prediction, errors."""
        return picture_of_head(test, row, photograph)
