"""Semantic segmentation by k-NN in context: how well cells of feature maps find cells of the same class."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tasks.base import MAPS, Batchwise, Fitted, Score, Task, TaskMeta
from tasks.scoring.reading import read
from tasks.scoring.segmentation import in_context
from tasks.scoring.segmentation.judging import picture, score

PROTOCOL = (
    "k-NN in context (Hummingbird, Balažević et al. 2023): 100 cells of every training image, at most 65,536 in all, "
    "are the bank; all feature maps are interpolated at the cells of the finest, standardised, reduced to 128 "
    "principal axes (without labels) and L2-normalised. A cell of test gets the soft labels of its 30 nearest, "
    "weighted by exp(cosine / 0.02), enlarged bilinearly to the mask's size. Nothing is chosen. "
    "mIoU as semantic_segmentation."
)


class SegmentationKnn(Task):
    """The labels of the nearest cells of train."""

    meta = TaskMeta(
        "segmentation_knn",
        1,
        "mIoU",
        PROTOCOL,
        in_context.SETTINGS,
        kind="masks",
        outputs=(MAPS,),
        control=True,
    )

    def fit(self, train: Batchwise, val: Batchwise, seed: int) -> Fitted:
        return in_context.remember(train, seed)

    def judge(self, fitted: Fitted, test: Batchwise) -> Score:
        blocks = read(test, "test", "looking up cells of test")
        return score(fitted, test, (found for _, outputs in blocks for found in in_context.votes(fitted, outputs)))

    def picture(
        self, fitted: Fitted, test: Batchwise, row: int, photograph: npt.NDArray[np.uint8]
    ) -> npt.NDArray[np.uint8]:
        """Photograph, truth, prediction, errors."""
        [found] = in_context.votes(fitted, test.at(np.array([row])))
        return picture(found, test, row, photograph)
