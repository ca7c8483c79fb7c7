"""From logits on the grid to a score, and to a picture: the same for every way to segment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from export.spec import Metric
from tasks.base import Batchwise, Fitted, Score
from tasks.scoring.features import Floats
from tasks.scoring.reading import read
from tasks.scoring.segmentation import linear_head
from tasks.scoring.segmentation.cells import CELLS, empty
from tasks.scoring.segmentation.drawing import side_by_side
from tasks.scoring.segmentation.geometry import mask_of
from tasks.scoring.segmentation.overlap import Overlaps, agreement


def score(fitted: Fitted, test: Batchwise, found: Iterable[Floats]) -> Score:
    """The score of logits, float32 [classes, h, w], one picture after the other in the order of test.

    Windows of one picture are one unit: n, standard errors and ``per_sample`` count pictures.

    ``fitted.arrays`` holds ``cells``, [classes]: how many of each class the fit has seen.

    Raises:
        UserError: test is empty, or has no labelled pixel.
    """
    if not len(test):
        raise empty("test")
    classes = len(test.classes)
    counted = np.zeros((len(test), 3, classes))
    for row, logits in enumerate(found):
        counted[row] = agreement(test.masks[row], mask_of(logits, test.frame(row)), classes)
    overlaps = Overlaps.of(counted, test.masks.pictures)
    lacking = np.flatnonzero(overlaps.true.any(axis=0) & (fitted.arrays[CELLS] == 0))
    names = ", ".join(test.classes[i] for i in lacking)
    return overlaps.score(
        test.classes, fitted.seed, f"0 for classes that no cell of train has: {names}" if names else ""
    )


def score_of_head(fitted: Fitted, test: Batchwise) -> Score:
    """The score of a head's own output, ``logits``; with the head's size.

    Raises:
        UserError: as :func:`score`. CellError: logits hold NaN or Inf.
    """
    only = replace(test, outputs={linear_head.LOGITS: test.outputs[linear_head.LOGITS]})
    planes = (plane for _, block in read(only, "test", "judging") for plane in block[linear_head.LOGITS])
    judged = score(fitted, test, planes)
    size = Metric.cost("head_parameters", linear_head.parameters(fitted), "")
    return replace(judged, metrics=[*judged.metrics, size])


def picture_of_head(test: Batchwise, row: int, photograph: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """What a head's ``logits`` make of a photograph of test."""
    [logits] = test.outputs[linear_head.LOGITS][row : row + 1]
    return picture(logits, test, row, photograph)


def picture(logits: Floats, test: Batchwise, row: int, photograph: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Photograph, truth, what logits [classes, h, w] say, and where they err: uint8 [h', w', 3]."""
    return side_by_side(photograph, test.masks[row], mask_of(logits, test.frame(row)), test.classes)
