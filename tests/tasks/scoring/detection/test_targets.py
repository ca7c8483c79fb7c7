from __future__ import annotations

import numpy as np
import pytest

from export.geometry import Frame
from export.spec import PreprocessSpec
from tasks.data.targets import PictureObjects
from tasks.scoring.detection.grid import Grid
from tasks.scoring.detection.recipe import detections
from tasks.scoring.detection.targets import Placed, targets

GRID = Grid(8, 10, (64, 80))
SQUARE = PreprocessSpec(64, 80, crop_mode="squash", crop_pct=1.0)


def objects(boxes: list[list[float]], labels: list[int], crowd: list[bool] | None = None) -> PictureObjects:
    rows = np.array(boxes, np.float64).reshape(-1, 4)
    return PictureObjects(rows, np.array(labels), np.array(crowd or [False] * len(rows), bool), np.ones(len(rows)))


def placed(boxes: list[list[float]], labels: list[int], crowd: list[bool] | None = None) -> Placed:
    return Placed.of(objects(boxes, labels, crowd), Frame.of(SQUARE, 64, 80), np.array([0, 1]))


def test_a_centre_is_one_and_what_is_around_it_falls() -> None:
    found = targets(placed([[8, 8, 56, 56]], [1]), GRID, 2)
    assert found.heat[0].max() == 0
    assert np.argwhere(found.heat[1] == 1).tolist() == [[4, 4]]
    assert (np.diff(found.heat[1, 4, 4:]) <= 0).all()
    assert found.weights.sum() == pytest.approx(np.log1p(48 * 48))
    np.testing.assert_array_equal(found.owners >= 0, found.heat[1] > 0)
    assert (found.owners >= 0).sum() == 9  # 0.54 of half of six cells, rounded down, to each side


def test_the_smaller_object_has_the_cell() -> None:
    found = targets(placed([[24, 24, 40, 40], [0, 0, 64, 64]], [0, 0]), GRID, 2)
    assert found.owners[4, 4] == 0
    assert set(found.owners.ravel()) == {-1, 0, 1}


def test_objects_smaller_than_a_cell_keep_one_each() -> None:
    found = targets(placed([[9, 9, 10, 10], [33, 33, 33.5, 33.5], [79.5, 63.5, 80, 64]], [0, 1, 0]), GRID, 2)
    assert np.argwhere(found.heat == 1).tolist() == [[0, 1, 1], [0, 7, 9], [1, 4, 4]]
    assert (found.weights > 0).sum() == 3


def test_hundreds_in_few_cells_are_finite() -> None:
    low = np.random.default_rng(0).uniform(0, 60, (400, 2))
    found = targets(placed(np.concatenate([low, low + 1.5], 1).tolist(), [0] * 400), GRID, 2)
    assert np.isfinite(found.weights).all()
    assert (found.heat.max(), found.heat.min()) == (1, 0)


def test_nothing_is_wrong_in_a_crowd() -> None:
    found = targets(placed([[0, 0, 16, 16], [40, 40, 50, 50]], [0, 0], [True, False]), GRID, 2)
    assert not found.counted[:2, :2].any()
    assert found.counted.sum() == 80 - 4
    assert np.argwhere(found.heat == 1).tolist() == [[0, 5, 5]]


def test_a_picture_without_objects() -> None:
    found = targets(placed([], []), GRID, 2)
    assert (found.heat == 0).all()
    assert (found.owners == -1).all()


def test_what_the_crop_leaves_out_is_not_learned() -> None:
    """The middle of a wide picture: one object is outside, one is cut, one is of a class that is not learned."""
    frame = Frame.of(PreprocessSpec(64, 64, crop_mode="center", crop_pct=1.0), 64, 128)
    found = Placed.of(objects([[0, 0, 20, 20], [20, 0, 52, 20], [60, 0, 70, 9]], [0, 1, 3]), frame, np.array([0, 1]))
    assert found.boxes.tolist() == [[0, 0, 20, 20]]
    assert (found.rows.tolist(), found.columns.tolist()) == ([1], [1])


@pytest.mark.parametrize("mode", ["squash", "border"])
@pytest.mark.parametrize("size", [(480, 640), (301, 77), (64, 80)])
def test_boxes_go_there_and_back(mode: str, size: tuple[int, int]) -> None:
    spec = PreprocessSpec(320, 416, crop_mode=mode, crop_pct=1.0)  # type: ignore[arg-type]
    height, width = size
    boxes = np.array([[0, 0, width, height], [3.5, 1.25, 60.75, 50.5], [width - 1, height - 1, width, height]])
    frame = Frame.of(spec, height, width)
    one = PictureObjects(boxes, np.zeros(3, int), np.zeros(3, bool), np.ones(3))
    inside = Placed.of(one, frame, np.array([0]))
    assert len(inside.boxes) == 3
    np.testing.assert_allclose(frame.into_picture(inside.boxes), boxes, atol=1e-9)


def test_a_head_reports_a_hundred_objects_or_as_many_hundreds_as_it_takes() -> None:
    assert [detections(most) for most in (0, 100, 101, 250, 300)] == [100, 100, 200, 300, 300]
