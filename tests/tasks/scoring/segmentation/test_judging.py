from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import CLASSES, SQUASHED, masks_of

from tasks.base import Batchwise, Fitted
from tasks.scoring.segmentation.judging import score


def test_windows_of_one_picture_are_one_unit() -> None:
    """Three pictures in seven windows, each of one class; the last window is found to be of another."""
    labels, pictures = [0, 1, 2, 3, 0, 1, 1], np.array([0, 0, 0, 0, 1, 2, 2])
    masks = replace(masks_of([np.full((20, 30), label, np.int16) for label in labels]), pictures=pictures)
    test = Batchwise({"map": np.zeros((7, 1, 6, 8), np.float32)}, masks, SQUASHED)
    fitted = Fitted(test, 0, {"cells": np.ones(len(CLASSES))})

    def logits(label: int) -> np.ndarray:
        planes = np.zeros((len(CLASSES), 6, 8), np.float32)
        planes[label] = 1
        return planes

    perfect = score(fitted, test, map(logits, labels))
    assert [metric.value for metric in perfect.metrics] == [100, 100, 100]
    assert [metric.n for metric in perfect.metrics] == [3, 3, 3]
    assert perfect.per_sample.tolist() == [100, 100, 100]
    assert {row["class"]: row["n_images"] for row in perfect.by_class} == dict(zip(CLASSES, (2, 2, 1, 1), strict=True))

    wrong = score(fitted, test, map(logits, [*labels[:-1], 3]))
    assert wrong.main.value == pytest.approx(100 * np.mean([1, 2 / 3, 1, 1 / 2]))
    assert len(wrong.per_sample) == 3
    assert wrong.per_sample.argmin() == 2
    assert wrong.per_sample.mean() == pytest.approx(wrong.main.value)
