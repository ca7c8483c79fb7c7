from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hotcoco import mask as rle
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from tasks.data.dense.shapes import Malformed, shape
from tasks.data.dense.turning import stored_mask, stored_points

sides = st.integers(1, 60)


def polygons(seed: int, height: int, width: int) -> list[list[float]]:
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(draw.integers(1, 4)):
        points = draw.normal(size=(draw.integers(3, 12), 2)) * draw.choice([0.2, 1, 3]) * [width, height]
        points += [width / 2, height / 2]
        found.append([float(n) for n in (points.round() if seed % 3 == 0 else points).ravel()])
    return found


@given(sides, sides, st.integers(0, 2**31))
def test_outlines_are_filled_as_by_pycocotools(height: int, width: int, seed: int) -> None:
    oracle = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed")
    outlines = polygons(seed, height, width)
    expected = oracle.merge(oracle.frPyObjects(outlines, height, width))
    made = shape(outlines, height, width)
    assert (made.area if made else 0) == oracle.area(expected)
    if made:
        assert made.counts == expected["counts"]
        x, y, w, h = oracle.toBbox(expected)
        assert made.box == (x, y, x + w, y + h)


@given(sides, sides, st.integers(0, 2**31), st.booleans())
def test_codes_are_kept_whether_compressed_or_not(height: int, width: int, seed: int, compressed: bool) -> None:
    mask = (np.random.default_rng(seed).random((height, width)) < 0.4).astype(np.uint8)
    mask[0, 0] = seed % 2
    mask[-1, -1] = 1
    code = rle.encode(np.asfortranarray(mask))
    flat = mask.T.ravel()
    cuts = [0, *(np.flatnonzero(np.diff(flat)) + 1).tolist(), flat.size]
    runs = [0] * bool(flat[0]) + np.diff(cuts).tolist()
    counts: Any = code["counts"].decode() if compressed else runs
    made = shape({"size": [height, width], "counts": counts}, height, width)
    assert made is not None
    assert made.counts == code["counts"]
    assert made.area == mask.sum()
    with pytest.raises(Malformed, match="size"):
        shape({"size": [height + 1, width], "counts": counts}, height, width)
    with pytest.raises(Malformed):  # cut off
        shape({"size": [height, width], "counts": counts[:-1]}, height, width)


def test_an_outline_that_crosses_itself_is_known() -> None:
    bow, square = [2, 2, 18, 20, 18, 2, 2, 20], [2, 2, 18, 2, 18, 20, 2, 20]
    star = [20.0, 2, 26, 36, 2, 14, 38, 14, 12, 36]
    assert [shape([one], 40, 40).crossed for one in (bow, square, star)] == [True, False, True]  # type: ignore[union-attr]


@given(st.integers(1, 8), sides, sides, st.integers(0, 2**31))
def test_the_turned_picture_is_turned_back(orientation: int, height: int, width: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    stored = draw.integers(0, 255, (height, width)).astype(np.uint8)
    image = Image.fromarray(stored)
    image.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(stored_mask(upright, orientation), stored)
    y, x = draw.integers(0, upright.shape[0]), draw.integers(0, upright.shape[1])
    centre = np.array([[x + 0.5, y + 0.5]])
    (a, b), *_ = stored_points(centre, orientation, height, width)
    assert stored[int(b), int(a)] == upright[y, x]
