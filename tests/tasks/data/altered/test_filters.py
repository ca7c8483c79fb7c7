"""Filters against scipy doing the same in double precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.data.altered.filters import along, convolved, sampled, smooth, wide_blur


def picture(seed: int = 0, height: int = 61, width: int = 70) -> Any:
    return np.random.default_rng(seed).random((height, width, 3), np.float32)


@pytest.mark.parametrize("sigma", [0.7, 1.0, 1.5, 2.4])
def test_smooth_is_scipys_gaussian(sigma: float) -> None:
    from scipy.ndimage import gaussian_filter

    wanted = gaussian_filter(picture().astype(np.float64), (sigma, sigma, 0), mode="nearest", truncate=4)
    np.testing.assert_allclose(smooth(picture(), sigma), wanted, atol=1e-6)


@pytest.mark.parametrize("reach", [1, 8, 10])
def test_convolved_is_scipys_convolution(reach: int) -> None:
    from scipy.ndimage import convolve

    kernel = np.random.default_rng(1).random((2 * reach + 1, 2 * reach + 1))
    kernel /= kernel.sum()
    wanted = np.stack([convolve(picture()[..., c].astype(np.float64), kernel, mode="mirror") for c in range(3)], -1)
    np.testing.assert_allclose(convolved(picture(), kernel), wanted, atol=1e-5)


@pytest.mark.parametrize(("radius", "sigma", "degrees"), [(10, 3, 20), (15, 12, -45), (12, 8, -130), (20, 15, 0)])
def test_along_is_a_convolution_with_a_line(radius: int, sigma: float, degrees: float) -> None:
    from scipy.ndimage import convolve

    reach = 2 * radius + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    for step in range(reach):
        y, x = round(step * np.sin(np.deg2rad(degrees))), round(step * np.cos(np.deg2rad(degrees)))
        kernel[reach + y, reach + x] += np.exp(-(step**2) / (2 * sigma**2))
    kernel /= kernel.sum()
    image = picture(2, 90, 95)
    wanted = np.stack([convolve(image[..., c].astype(np.float64), kernel, mode="mirror") for c in range(3)], -1)
    found = along(image, radius, sigma, degrees)
    np.testing.assert_allclose(found, wanted, atol=2e-3)  # what weighs a thousandth is left out
    assert np.abs(found - wanted).mean() < 3e-4


@settings(max_examples=30)
@given(st.integers(0, 1000), st.booleans())
def test_sampled_is_scipys_interpolation(seed: int, repeat_edge: bool) -> None:
    from scipy.ndimage import map_coordinates

    draw = np.random.default_rng(seed)
    image = picture(seed, 37, 40)
    # far outside too: 2.5 sizes to either side
    rows = draw.uniform(-90, 130, (41, 33)).astype(np.float32)
    columns = draw.uniform(-100, 140, (41, 33)).astype(np.float32)
    mode = "reflect" if repeat_edge else "mirror"
    wide = np.pad(image, ((120, 120), (120, 120), (0, 0)), mode="symmetric" if repeat_edge else "reflect")
    wanted = [
        map_coordinates(wide[..., c].astype(np.float64), [rows + 120.0, columns + 120.0], order=1) for c in range(3)
    ]
    found = sampled(image, rows, columns, repeat_edge)
    np.testing.assert_allclose(found, np.stack(wanted, -1), atol=3e-5)
    if not repeat_edge:
        peer = [
            map_coordinates(image[..., c].astype(np.float64), [rows, columns], order=1, mode=mode) for c in range(3)
        ]
        np.testing.assert_allclose(found, np.stack(peer, -1), atol=3e-5)


@pytest.mark.parametrize("sigma", [1.0, 12.0, 150.0])
def test_wide_blur_is_scipys_gaussian(sigma: float) -> None:
    from scipy.ndimage import gaussian_filter

    plane = np.random.default_rng(3).uniform(-1, 1, (50, 50))
    wanted = gaussian_filter(plane, sigma, mode="reflect", truncate=3)
    np.testing.assert_allclose(wide_blur(plane.astype(np.float32), sigma), wanted, atol=1e-6)
