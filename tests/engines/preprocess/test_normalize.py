"""Normalisation against ``export.reference``, for every field of the spec that it reads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from engines.preprocess.normalize import Normalizer
from export.reference import normalize
from export.spec import PreprocessSpec

SIDES = st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9))
PIXELS = SIDES.flatmap(lambda s: arrays.arrays(np.uint8, (*s, 3)))
UNIT = st.tuples(*[st.floats(0, 1)] * 3)
SPREAD = st.tuples(*[st.floats(0.1, 1)] * 3)
LAYOUT, ORDER = st.sampled_from(["NCHW", "NHWC"]), st.sampled_from(["RGB", "BGR"])


@given(PIXELS, UNIT, SPREAD, LAYOUT, ORDER, st.sampled_from([1, 255]))
def test_equals_the_reference(pixels: Any, mean: Any, std: Any, layout: Any, order: Any, value_range: Any) -> None:
    if value_range == 255:
        mean, std = tuple(255 * m for m in mean), tuple(255 * s for s in std)
    height, width = pixels.shape[1:3]
    spec = PreprocessSpec(
        height, width, mean=mean, std=std, layout=layout, channel_order=order, value_range=value_range
    )
    before = pixels.copy()
    found, wanted = Normalizer(spec)(pixels), normalize(pixels, spec)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize(
    ("mean", "std"),
    [((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)), ((0, 0, 0), (1, 1, 1))],
)
def test_every_level_within_a_millionth(mean: Any, std: Any) -> None:
    levels = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(1, 16, 16, 3)
    spec = PreprocessSpec(16, 16, mean=mean, std=std)
    assert np.abs(Normalizer(spec)(levels) - normalize(levels, spec)).max() <= 1e-6


def test_several_threads_at_once() -> None:
    normalizer = Normalizer(PreprocessSpec(32, 32))
    batches = [np.full((2, 32, 32, 3), level, np.uint8) for level in range(0, 256, 17)]
    alone = [normalizer(b) for b in batches]
    with ThreadPoolExecutor(4) as pool:
        for found, wanted in zip(pool.map(normalizer, batches), alone, strict=True):
            np.testing.assert_array_equal(found, wanted)
