from __future__ import annotations

import drawn_objects
import numpy as np
import pytest

from export.geometry import Frame
from export.spec import PreprocessSpec
from tasks.scoring.detection.recipe import MASK_SIDE, ROI_SIDE
from tasks.scoring.detection.shapes import learned, pasted, widened
from tasks.scoring.detection.targets import Placed

SPECS = [
    PreprocessSpec(64, 64, crop_mode="squash", crop_pct=1.0),
    PreprocessSpec(160, 160, crop_mode="border", crop_pct=1.0),
]


@pytest.mark.parametrize("spec", SPECS)
def test_what_is_learned_is_the_shape_in_its_widened_box(spec: PreprocessSpec) -> None:
    """A square fills 1 / 1.2² of it, and a disc π / 4 of that."""
    boxes = np.array([[20.0, 20, 60, 60], [70, 30, 110, 70]])
    frame = Frame.of(spec, *drawn_objects.SIZE)
    found = learned(
        drawn_objects.picture_of(boxes, [1, 0]),
        Placed.of(drawn_objects.picture_of(boxes, [1, 0]), frame, np.arange(2)),
        frame,
    )
    assert found.shape == (2, ROI_SIDE, ROI_SIDE)
    np.testing.assert_allclose(found.mean(axis=(1, 2), dtype=float), np.array([1, np.pi / 4]) / 1.44, rtol=0.05)
    assert (found[:, 14, 14] == 1).all()
    assert (found[:, 0, 0] == 0).all()


@pytest.mark.parametrize("spec", SPECS)
def test_a_mask_comes_back_to_the_picture_where_it_was(spec: PreprocessSpec) -> None:
    box = np.array([31.0, 17, 90, 71])
    shape, frame = drawn_objects.shape_of(box, 0), Frame.of(spec, *drawn_objects.SIZE)
    inside = frame.into_input(box[None])[0]
    y, x = np.mgrid[:MASK_SIDE, :MASK_SIDE] + 0.5
    logits = (1 - np.hypot(2 * x / MASK_SIDE - 1, 2 * y / MASK_SIDE - 1)).astype(np.float32)
    part, top, left = pasted(logits, inside, frame)
    whole = np.zeros(drawn_objects.SIZE, bool)
    whole[top : top + part.shape[0], left : left + part.shape[1]] = part
    assert (whole & shape).sum() / (whole | shape).sum() > 0.98


def test_a_mask_does_not_leave_its_box_or_the_picture() -> None:
    frame = Frame.of(SPECS[0], *drawn_objects.SIZE)
    everything = np.ones((MASK_SIDE, MASK_SIDE), np.float32)
    for box in ([-20.0, -10, 30, 40], [40, 40, 90, 90], [10.3, 11.2, 10.4, 11.3], [70, 70, 80, 80]):
        part, top, left = pasted(everything, np.array(box), frame)
        assert top >= 0
        assert left >= 0
        assert top + part.shape[0] <= drawn_objects.SIZE[0]
        assert left + part.shape[1] <= drawn_objects.SIZE[1]
        x1, y1, x2, y2 = frame.into_picture(np.array([box]))[0]
        assert abs(int(part.sum()) - (x2 - x1) * (y2 - y1)) <= (x2 - x1) + (y2 - y1) + 1


def test_a_box_is_widened_about_its_centre() -> None:
    assert widened(np.array([[10.0, 20, 20, 40]])).tolist() == [[9, 18, 21, 42]]
