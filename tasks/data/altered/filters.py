"""Filters of small pictures, float32 [height, width, channels]. Tests hold them to scipy's.

They run on the cores that also run the network, once for each corrupted image. Hence float32, sums of shifted copies in
place of general convolutions, one set of indices for all channels, and bands of a few rows: what a band needs fits into
the cache, and is so small that its memory is used again, while that of a whole picture would be handed back and, page
by page, be fetched and zeroed anew for each array.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.float32]
Plane = npt.NDArray[np.float32]
BAND = 28
"""Rows."""


def smooth(image: Image, sigma: float) -> Image:
    """Blurred by a Gaussian that ends at 4 σ; beyond the edges, the edge goes on."""
    reach = int(4 * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(reach + 1) / sigma) ** 2)
    weights = (weights / (2 * weights.sum() - weights[0])).astype(np.float32)
    height, width, _ = image.shape
    wide = np.pad(image, ((reach, reach), (0, 0), (0, 0)), mode="edge")
    found = np.empty_like(image)
    for start in range(0, height, BAND):
        rows = min(BAND, height - start)
        down = _weighted([wide[start + i : start + i + rows] for i in range(2 * reach + 1)], weights)
        down = np.pad(down, ((0, 0), (reach, reach), (0, 0)), mode="edge")
        found[start : start + rows] = _weighted([down[:, i : i + width] for i in range(2 * reach + 1)], weights)
    return found


def _weighted(parts: list[Image], weights: npt.NDArray[np.float32]) -> Image:
    """The middle one times ``weights[0]``, its neighbours on both sides times ``weights[1]``, and so on."""
    reach = len(weights) - 1
    found: Image = parts[reach] * weights[0]
    both = np.empty_like(found)
    for step in range(1, reach + 1):
        np.add(parts[reach - step], parts[reach + step], out=both)
        both *= weights[step]
        found += both
    return found


def convolved(image: Image, kernel: npt.NDArray[np.float64]) -> Image:
    """Convolved with a square kernel of odd sides; beyond its edges the image is mirrored."""
    from scipy.fft import irfft2, next_fast_len, rfft2

    reach = len(kernel) // 2
    height, width, _ = image.shape
    wide = np.pad(np.moveaxis(image, 2, 0), ((0, 0), (reach, reach), (reach, reach)), mode="reflect")
    sides = [next_fast_len(side, real=True) for side in wide.shape[1:]]  # what wraps around is cut away
    product = rfft2(wide, sides) * rfft2(kernel.astype(np.float32), sides)
    found = irfft2(product, sides)[:, 2 * reach : 2 * reach + height, 2 * reach : 2 * reach + width]
    return np.ascontiguousarray(np.moveaxis(found, 0, 2))


def along(image: Image, radius: int, sigma: float, degrees: float) -> Image:
    """Blurred to one side along a direction: weights of half a Gaussian over 2·radius + 1 pixels; edges mirrored.

    Each weight goes to the pixel nearest to its place, as ImageMagick has it. Pixels that together weigh less than
    1/1000 are left out.
    """
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-(steps**2) / (2 * sigma**2))
    weights = weights[: 1 + int((np.cumsum(weights) < 0.999 * weights.sum()).sum())]
    weights = (weights / weights.sum()).astype(np.float32)
    angle, reach = np.deg2rad(degrees), 2 * radius + 1
    height, width, _ = image.shape
    wide = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    found = np.zeros_like(image)
    places = [(round(step * math.sin(angle)), round(step * math.cos(angle))) for step in range(len(weights))]
    taps = [(reach - y, reach - x, weight) for (y, x), weight in zip(places, weights, strict=True)]
    for start in range(0, height, BAND):
        band = found[start : start + BAND]
        part = np.empty_like(band)
        for top, left, weight in taps:
            np.multiply(wide[start + top : start + top + len(band), left : left + width], weight, out=part)
            band += part
    return found


def sampled(image: Image, rows: Plane, columns: Plane, repeat_edge: bool) -> Image:
    """Bilinear samples at places [h, w] in pixels; beyond its edges the image is mirrored, the edge repeated or not."""
    height, width, channels = image.shape
    pixels = image.reshape(-1, channels)
    found = np.empty((*rows.shape, channels), np.float32)
    for start in range(0, len(rows), BAND):
        y, x = rows[start : start + BAND], columns[start : start + BAND]
        top, left = np.floor(y), np.floor(x)
        down, right = (y - top)[..., None], (x - left)[..., None]
        lines = [_folded(top.astype(np.int64) + step, height, repeat_edge) * width for step in (0, 1)]
        places = [_folded(left.astype(np.int64) + step, width, repeat_edge) for step in (0, 1)]
        upper, lower = (
            (1 - right) * np.take(pixels, line + places[0], axis=0) + right * np.take(pixels, line + places[1], axis=0)
            for line in lines
        )
        found[start : start + BAND] = (1 - down) * upper + down * lower
    return found


def _folded(index: npt.NDArray[np.int64], length: int, repeat_edge: bool) -> npt.NDArray[np.int64]:
    period = 2 * length if repeat_edge else 2 * length - 2
    index = index % period
    return np.where(index < length, index, period - index - repeat_edge)


def wide_blur(plane: Plane, sigma: float) -> Plane:
    """A plane blurred by a Gaussian that ends at 3 σ; beyond its edges it is mirrored, the edge repeated.

    Such a filter is diagonal in the cosine transform of that symmetry (DCT-II), so that a σ as wide as the plane costs
    no more than a small one. A product of matrices would do as well, but its library's threads would wait on the
    network's.
    """
    from scipy.fft import dctn, idctn

    down, across = (_gains(side, sigma) for side in plane.shape)
    return np.asarray(idctn(dctn(plane) * down[:, None] * across))


@lru_cache
def _gains(side: int, sigma: float) -> npt.NDArray[np.float32]:
    """What the Gaussian leaves of each of the transform's frequencies."""
    steps = np.arange(1, int(3 * sigma + 0.5) + 1)
    weights = np.exp(-0.5 * (steps / sigma) ** 2)
    waves = np.cos(np.pi / side * np.outer(np.arange(side), steps))
    gains: npt.NDArray[np.float64] = (1 + 2 * (waves @ weights)) / (1 + 2 * weights.sum())
    return gains.astype(np.float32)
