from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from fakes import photograph
from scenes import CLASSES, masks_of

from bench.sweep.pictures import draw
from tasks.base import Batchwise, Fitted, Score
from tasks.data.base import DataSet, Sample
from tasks.semantic_segmentation import SemanticSegmentation


class Drawn(SemanticSegmentation):
    """Remembers what it draws."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def picture(self, fitted: Fitted, test: Batchwise, row: int, photograph: np.ndarray) -> np.ndarray:
        self.rows.append(row)
        return photograph


def test_the_first_window_stands_for_a_picture(tmp_path: Path) -> None:
    masks = replace(masks_of([np.zeros((9, 9), np.int16)] * 6), pictures=np.array([0, 1, 1, 1, 2, 2]))
    test = Batchwise({"map": np.zeros((6, 1, 2, 2), np.float32)}, masks)
    samples = [Sample(str(i), 0, "test") for i in range(6)]
    images = DataSet("drawn", samples, CLASSES, "digest", lambda name: photograph(int(name), 20, 20), kind="masks")
    task = Drawn()
    name = draw(task, Fitted(test, 0), test, Score((), np.array([5.0, 9.0, 7.0])), images, tmp_path / "sheet")
    assert task.rows == [1, 4, 0]
    assert (tmp_path / name).stat().st_size > 500
