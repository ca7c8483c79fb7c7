from __future__ import annotations

import numpy as np

from tasks.data.targets import PictureObjects
from tasks.scoring.detection.average_precision import Detections
from tasks.scoring.detection.drawing import MISSED, RIGHT, WIDEST, WRONG, Pixels, drawn


def colours(found: Pixels) -> set[tuple[int, ...]]:
    return {colour for colour in (RIGHT, WRONG, MISSED) if (found == colour).all(axis=2).sum() > 20}


def test_right_is_green_wrong_is_red_and_missed_is_yellow() -> None:
    photograph = np.zeros((200, 300, 3), np.uint8)
    boxes = np.array([[20.0, 30, 80, 90], [150, 40, 220, 120], [0, 150, 300, 200]])
    truth = PictureObjects(boxes, np.array([0, 1, 1]), np.array([False, False, True]), np.ones(3))

    def of(rows: list[tuple[list[float], int, float]]) -> Detections:
        return Detections(
            np.array([row[0] for row in rows]).reshape(-1, 4),
            np.array([r[2] for r in rows]),
            np.array([r[1] for r in rows], int),
        )

    near = [22.0, 32, 80, 90]
    assert colours(drawn(photograph, truth, of([]), "ab")) == {MISSED}
    assert colours(drawn(photograph, truth, of([(near, 0, 0.9)]), "ab")) == {RIGHT, MISSED}
    assert colours(drawn(photograph, truth, of([(near, 1, 0.9)]), "ab")) == {WRONG, MISSED}
    twice = [(near, 0, 0.9), ([30.0, 42, 90, 100], 0, 0.8)]
    assert colours(drawn(photograph, truth, of(twice), "ab")) == {RIGHT, WRONG, MISSED}
    assert colours(drawn(photograph, truth, of([(near, 0, 0.2)]), "ab")) == {MISSED}  # not sure enough
    both = [(near, 0, 0.9), ([150.0, 40, 220, 120], 1, 0.5)]
    assert colours(drawn(photograph, truth, of(both), "ab")) == {RIGHT}
    assert colours(drawn(photograph, truth, of([*both, ([10.0, 155, 60, 195], 1, 0.4)]), "ab")) == {RIGHT}  # a crowd


def test_a_large_photograph_is_drawn_smaller() -> None:
    truth = PictureObjects(np.array([[0.0, 0, 3000, 1000]]), np.zeros(1, int), np.zeros(1, bool), np.ones(1))
    none = Detections(np.empty((0, 4)), np.empty(0), np.empty(0, int))
    assert drawn(np.zeros((1000, 3000, 3), np.uint8), truth, none, ["a"]).shape == (300, WIDEST, 3)
