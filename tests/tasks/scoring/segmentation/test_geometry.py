from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import mask
from specs import SPECS
from torch.nn.functional import interpolate

from export.geometry import Frame
from export.spec import PreprocessSpec
from tasks.scoring.features import Floats
from tasks.scoring.segmentation.geometry import mask_of, resampling, shares_of

SIDES = st.integers(1, 40)


def enlarged(planes: Floats, size: tuple[int, int]) -> Floats:
    """torch's own, float64 inside."""
    wide = torch.from_numpy(planes.astype(np.float64))[None]
    return np.asarray(interpolate(wide, size, mode="bilinear", align_corners=False)[0].numpy(), np.float32)


def assert_same_mask(found: object, planes: Floats) -> None:
    """The largest of each pixel, wherever two are not the same but for rounding."""
    wanted = planes.argmax(axis=0)
    best = np.sort(planes, axis=0)[-2:]
    clear = best[-1] - best[0] > 1e-4 if len(planes) > 1 else np.ones(wanted.shape, bool)
    assert clear.mean() > 0.5
    np.testing.assert_array_equal(np.asarray(found)[clear], wanted[clear])


@settings(deadline=None, max_examples=60)
@given(SIDES, SIDES, SIDES, SIDES, st.integers(1, 5), st.integers(0, 9))
def test_of_a_squashed_picture_it_is_torchs_interpolation(
    height: int, width: int, h: int, w: int, classes: int, seed: int
) -> None:
    """Pictures of one row or column, smaller and larger than the grid."""
    planes = np.random.default_rng(seed).normal(size=(classes, h, w)).astype(np.float32)
    spec = PreprocessSpec(8 * h, 8 * w, crop_pct=1.0, crop_mode="squash")
    found = mask_of(planes, Frame.of(spec, height, width))
    assert found.dtype == np.int16
    assert_same_mask(found, enlarged(planes, (height, width)))


@settings(deadline=None, max_examples=40)
@given(SIDES, SIDES)
def test_resampling_is_torchs(cells: int, wanted: int) -> None:
    row = np.random.default_rng(cells).normal(size=(1, 1, cells)).astype(np.float32)
    found = row[0] @ resampling(cells, wanted).matrix(cells).T
    np.testing.assert_allclose(found, enlarged(row, (1, wanted))[0], atol=1e-5)


@pytest.mark.parametrize(
    ("size", "rows", "columns"),
    [((32, 64), slice(2, 6), slice(0, 8)), ((30, 60), slice(2, 6), slice(0, 8)), ((90, 30), slice(0, 8), slice(2, 6))],
)
def test_the_padding_of_a_letterbox_is_cut_off_first(size: tuple[int, int], rows: slice, columns: slice) -> None:
    """The padding begins with a cell; what stands there changes nothing."""
    planes = np.random.default_rng(0).normal(size=(4, 8, 8)).astype(np.float32)
    spec = PreprocessSpec(64, 64, crop_pct=1.0, crop_mode="border")
    if size == (90, 30):  # 64 x 21, and columns 21.5 to 42.5 of the input: cells 2 to 5
        frame = Frame.of(spec, *size)
        noisy = planes.copy()
        noisy[:, :, :2] = noisy[:, :, 6:] = 99
        np.testing.assert_array_equal(mask_of(noisy, frame), mask_of(planes, frame))
        return
    found = mask_of(planes, Frame.of(spec, *size))
    assert_same_mask(found, enlarged(np.ascontiguousarray(planes[:, rows, columns]), size))


def test_what_a_central_crop_leaves_out_gets_what_is_at_the_edge() -> None:
    planes = np.random.default_rng(0).normal(size=(3, 8, 8)).astype(np.float32)
    spec = PreprocessSpec(64, 64, crop_pct=1.0, crop_mode="center")
    found = mask_of(planes, Frame.of(spec, 64, 128))
    np.testing.assert_array_equal(found[:, :32], np.repeat(found[:, 32:33], 32, axis=1))
    assert_same_mask(found[:, 32:96], enlarged(planes, (64, 64)))


def test_the_first_of_equal_classes_wins() -> None:
    planes = np.ones((5, 2, 3), np.float32)
    planes[0] = 0
    frame = Frame.of(PreprocessSpec(16, 24, crop_pct=1.0, crop_mode="squash"), 7, 9)
    np.testing.assert_array_equal(mask_of(planes, frame), 1)


@settings(deadline=None, max_examples=60)
@given(SPECS, SIDES, SIDES, st.integers(1, 6), st.integers(1, 6), st.integers(0, 9))
def test_shares_count_the_pixels_whose_centres_lie_in_the_cell(
    spec: PreprocessSpec, height: int, width: int, h: int, w: int, seed: int
) -> None:
    """Pixel by pixel, of every way to crop and pad."""
    truth, frame = mask(np.random.default_rng(seed), height, width, 3), Frame.of(spec, height, width)
    wanted = np.zeros((h, w, 3))
    for y in range(height):
        for x in range(width):
            cell_y = ((y + 0.5) * frame.scale[1] - frame.top) / (spec.height / h)
            cell_x = ((x + 0.5) * frame.scale[0] - frame.left) / (spec.width / w)
            if truth[y, x] >= 0 and 0 <= cell_y < h and 0 <= cell_x < w:
                wanted[int(cell_y), int(cell_x), truth[y, x]] += 1
    wanted /= np.maximum(wanted.sum(axis=2, keepdims=True), 1)
    np.testing.assert_allclose(shares_of(truth, frame, (h, w), 3), wanted.reshape(-1, 3), atol=1e-12)
