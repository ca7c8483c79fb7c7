"""The fifteen corruptions of ImageNet-C (Hendrycks and Dietterich 2019), computed when an image is read, never stored.

As there, an image is first resized so that its short side is 256 pixels and cut to its central 224x224, and then
corrupted at one of five severities; the constants are the paper's. Each image draws its own noise, seeded by its id, so
every backbone sees the same. Unlike there, frost is drawn instead of photographed, and motion is blurred by a line of
weights instead of ImageMagick: results are not comparable with published ones of ImageNet-C.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image as Pil

from export.errors import UserError, unknown
from export.picture import VERSION as decoding
from export.picture import Orientation, decode
from tasks.data.altered.filters import along, convolved, sampled, smooth, wide_blur
from tasks.data.base import DataSet

SIDE, SHORT = 224, 256
SEVERITIES = (1, 2, 3, 4, 5)

Image = npt.NDArray[np.float32]
"""RGB, float32 [224, 224, 3], from 0 to 1; what comes out is clipped to that."""
Draw = np.random.Generator


def _gaussian_noise(image: Image, level: int, draw: Draw) -> Image:
    noise: Image = draw.standard_normal(image.shape, np.float32)
    noise *= (0.08, 0.12, 0.18, 0.26, 0.38)[level]
    noise += image
    return noise


def _shot_noise(image: Image, level: int, draw: Draw) -> Image:
    photons = (60, 25, 12, 5, 3)[level]
    table = _photons(photons)
    lots = draw.integers(0, table.shape[1], image.shape, np.uint16)
    counts = np.take(table.ravel(), _bytes(image).astype(np.int32) * table.shape[1] + lots)
    return np.asarray(counts.astype(np.float32) / np.float32(photons))


def _impulse_noise(image: Image, level: int, draw: Draw) -> Image:
    amount = (0.03, 0.06, 0.09, 0.17, 0.27)[level]
    lot = draw.random(image.shape, np.float32)
    return np.where(lot < amount, lot < amount / 2, image).astype(np.float32)  # half of those struck are white


def _defocus_blur(image: Image, level: int, draw: Draw) -> Image:
    radius, soft = ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))[level]
    return convolved(image, _disk(radius, soft))


def _glass_blur(image: Image, level: int, draw: Draw) -> Image:
    sigma, reach, rounds = ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2))[level]
    shaken = smooth(image, sigma)
    inner = slice(reach, SIDE - reach)
    place = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)[inner, inner]
    for _ in range(rounds):
        dy, dx = draw.integers(-reach, reach, size=(2, *place.shape), dtype=np.int16)
        moved = shaken.copy()
        moved[inner, inner] = np.take(shaken.reshape(-1, 3), place + SIDE * dy.astype(np.int64) + dx, axis=0)
        shaken = moved
    return smooth(np.clip(shaken, 0, 1), sigma)


def _motion_blur(image: Image, level: int, draw: Draw) -> Image:
    radius, sigma = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))[level]
    return along(image, radius, sigma, draw.uniform(-45, 45))


def _zoom_blur(image: Image, level: int, draw: Draw) -> Image:
    last, step = ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))[level]
    factors = np.arange(1, last, step)
    picture = Pil.fromarray(_bytes(image))
    total = np.zeros(image.shape, np.uint16)
    for factor in factors:  # in 8 bits: what that rounds is lost in the mean
        margin = (SIDE - SIDE / factor) / 2
        box = (margin, margin, SIDE - margin, SIDE - margin)
        total += np.asarray(picture.resize((SIDE, SIDE), Pil.Resampling.BILINEAR, box=box))
    found: Image = (image + total.astype(np.float32) / 255) / np.float32(len(factors) + 1)
    return found


def _snow(image: Image, level: int, draw: Draw) -> Image:
    mean, deviation, size, least, radius, sigma, kept = (
        (0.1, 0.3, 3.0, 0.5, 10, 4, 0.8),
        (0.2, 0.3, 2.0, 0.5, 12, 4, 0.7),
        (0.55, 0.3, 4.0, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    )[level]
    flakes = mean + deviation * draw.standard_normal((SIDE, SIDE, 1), np.float32)
    flakes = _zoomed(flakes.astype(np.float32), size)
    flakes = np.clip(np.where(flakes < least, 0, flakes), 0, 1)
    flakes = along(flakes, radius, sigma, draw.uniform(-135, -45))
    grey = image @ np.array([0.299, 0.587, 0.114], np.float32)
    white = kept * image + (1 - kept) * np.maximum(image, grey[..., None] * 1.5 + 0.5)
    found: Image = white + flakes + flakes[::-1, ::-1]
    return found


def _frost(image: Image, level: int, draw: Draw) -> Image:
    kept, white = ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))[level]
    crystals = np.abs(_plasma(draw, 1.3) - 0.5) * 2  # ridges where a fractal crosses its middle
    crystals = (1 - crystals) ** 3
    found: Image = kept * image + white * crystals[..., None] * np.array([0.9, 0.97, 1.0], np.float32)
    return found


def _fog(image: Image, level: int, draw: Draw) -> Image:
    thickness, decay = ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4))[level]
    brightest = image.max()
    found: Image = (image + thickness * _plasma(draw, decay)[..., None]) * brightest / (brightest + thickness)
    return found


def _brightness(image: Image, level: int, draw: Draw) -> Image:
    value = image.max(axis=-1, keepdims=True)  # V of HSV; hue and saturation stay
    lifted = np.minimum(value + (0.1, 0.2, 0.3, 0.4, 0.5)[level], 1)
    found: Image = image * (lifted / np.where(value > 0, value, 1))
    return np.where(value > 0, found, lifted)


def _contrast(image: Image, level: int, draw: Draw) -> Image:
    mean = image.mean(axis=(0, 1), keepdims=True, dtype=np.float64).astype(np.float32)
    found: Image = (image - mean) * (0.4, 0.3, 0.2, 0.1, 0.05)[level] + mean
    return found


def _elastic_transform(image: Image, level: int, draw: Draw) -> Image:
    side = 244
    strength, sigma, shear = (
        (side * 2, side * 0.7, side * 0.1),
        (side * 2, side * 0.08, side * 0.2),
        (side * 0.05, side * 0.01, side * 0.02),
        (side * 0.07, side * 0.01, side * 0.02),
        (side * 0.12, side * 0.01, side * 0.02),
    )[level]
    # an affine map that moves three points around the centre by up to `shear`
    third = SIDE // 3
    points = np.array([[1, 1], [1, -1], [-1, -1]]) * third + SIDE // 2
    moved = points + draw.uniform(-shear, shear, points.shape)
    ones = np.ones((3, 1))
    affine = np.linalg.solve(np.hstack([moved, ones]), np.hstack([points, ones]))
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    y, x = (a * rows + b * columns + c for a, b, c in affine[:, :2].T.astype(np.float32))
    warped = sampled(image, y, x, repeat_edge=False)
    noise = 2 * draw.random((2, SIDE, SIDE), np.float32) - 1
    dy, dx = (strength * wide_blur(plane, sigma) for plane in noise)
    return sampled(warped, rows + dy, columns + dx, repeat_edge=True)


def _pixelate(image: Image, level: int, draw: Draw) -> Image:
    small = int(SIDE * (0.6, 0.5, 0.4, 0.3, 0.25)[level])
    coarse = Pil.fromarray(_bytes(image)).resize((small, small), Pil.Resampling.BOX)
    return _unit(coarse.resize((SIDE, SIDE), Pil.Resampling.BOX))


def _jpeg_compression(image: Image, level: int, draw: Draw) -> Image:
    out = io.BytesIO()
    Pil.fromarray(_bytes(image)).save(out, "JPEG", quality=(25, 18, 15, 10, 7)[level])
    return _unit(Pil.open(out).convert("RGB"))


CORRUPTIONS: dict[str, Callable[[Image, int, Draw], Image]] = {
    "gaussian_noise": _gaussian_noise,
    "shot_noise": _shot_noise,
    "impulse_noise": _impulse_noise,
    "defocus_blur": _defocus_blur,
    "glass_blur": _glass_blur,
    "motion_blur": _motion_blur,
    "zoom_blur": _zoom_blur,
    "snow": _snow,
    "frost": _frost,
    "fog": _fog,
    "brightness": _brightness,
    "contrast": _contrast,
    "elastic_transform": _elastic_transform,
    "pixelate": _pixelate,
    "jpeg_compression": _jpeg_compression,
}
"""Each takes the image, the severity less 1, and what it draws its noise from."""
VERSION = 2
"""Raised whenever the same image would come out otherwise."""


def named(text: str) -> list[tuple[str, int]]:
    """``all``, ``fog`` (all five severities) or ``fog:3`` as (name, severity).

    Raises:
        UserError: no such corruption or severity.
    """
    name, _, severity = text.partition(":")
    names = list(CORRUPTIONS) if name == "all" else [name]
    if name != "all" and name not in CORRUPTIONS:
        raise unknown("corruption", name, [*CORRUPTIONS, "all"], "bob run --help")
    if severity and severity not in map(str, SEVERITIES):
        raise UserError(f"The severity of a corruption is 1 to 5, not {severity!r}.")
    return [(one, level) for one in names for level in ([int(severity)] if severity else SEVERITIES)]


def corrupted(data: DataSet, name: str, severity: int, seed: int = 0, orientation: Orientation = "stored") -> DataSet:
    """The test images of ``data``, each corrupted as it is read; all are test.

    Args:
        name: of :data:`CORRUPTIONS`. severity: 1 to 5. seed: of the noise, together with the image's id.
        orientation: how an image is read before it is corrupted.
    """

    def read(sample_id: str) -> bytes:
        square = _square(Pil.fromarray(decode(data.read(sample_id), orientation)))
        token = hashlib.sha256(f"{seed}\0{name}\0{severity}\0{sample_id}".encode("utf-8", "surrogateescape")).digest()
        draw = np.random.default_rng(int.from_bytes(token[:8], "big"))
        altered = CORRUPTIONS[name](_unit(square), severity - 1, draw)
        out = io.BytesIO()
        Pil.fromarray(_bytes(altered)).save(out, "BMP")  # lossless, and fast
        return out.getvalue()

    identity = f"{data.digest}\0{name}\0{severity}\0{seed}\0{VERSION}\0{decoding}\0{orientation}"
    samples = [replace(s, split="test") for s in data.split("test")]
    return DataSet(
        f"{name}-{severity}",
        samples,
        data.classes,
        hashlib.sha256(identity.encode()).hexdigest(),
        read,
        f"test of {data.name}, {name.replace('_', ' ')} of severity {severity}, seed {seed}",
        licence=data.licence,
        published=data.published,
        junk=data.junk,
    )


def _square(image: Pil.Image) -> Pil.Image:
    scale = SHORT / min(image.size)
    width, height = (max(SIDE, round(side * scale)) for side in image.size)
    left, top = (width - SIDE) // 2, (height - SIDE) // 2
    return image.resize((width, height), Pil.Resampling.BILINEAR).crop((left, top, left + SIDE, top + SIDE))


def _unit(image: Pil.Image) -> Image:
    return np.asarray(np.asarray(image, np.float32) / np.float32(255))


def _bytes(image: Image) -> npt.NDArray[np.uint8]:
    scaled = np.clip(image, 0, 1)
    scaled *= 255
    return np.rint(scaled, out=scaled).astype(np.uint8)


@lru_cache
def _photons(most: int) -> npt.NDArray[np.uint8]:
    """Poisson counts, uint8 [256, 16384]: for each 8-bit value, whose mean is its share of ``most``, even quantiles.

    A draw of a column is a draw of a count. One that is rarer than 1/16384 does not occur; a draw of numpy's own, for
    each pixel its own mean, takes five times as long.
    """
    from scipy.special import pdtr

    counts = np.arange(most + 8 * int(most**0.5) + 8)
    middles = (np.arange(1 << 14) + 0.5) / (1 << 14)
    means = np.arange(256) / 255 * most
    return np.stack([np.searchsorted(pdtr(counts, mean), middles) for mean in means]).astype(np.uint8)


@lru_cache
def _disk(radius: int, soft: float) -> npt.NDArray[np.float64]:
    """A disk whose edge is softened by a small Gaussian, of sum 1."""
    from scipy.ndimage import convolve

    reach = max(8, radius)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disk = (x**2 + y**2 <= radius**2).astype(np.float64)
    width = 3 if radius <= 8 else 5
    t = np.arange(width) - width // 2
    bell = np.exp(-(t**2) / (2 * soft**2))
    bell /= bell.sum()
    found: npt.NDArray[np.float64] = convolve(disk, np.outer(bell, bell), mode="mirror")
    found /= found.sum()
    return found


def _zoomed(image: Image, factor: float) -> Image:
    """Enlarged about its centre, and cut to its own size."""
    from scipy.ndimage import zoom

    side = int(np.ceil(SIDE / factor))
    top = (SIDE - side) // 2
    inner = image[top : top + side, top : top + side]
    large = zoom(inner, (factor, factor, 1), order=1)
    trim = (large.shape[0] - SIDE) // 2
    found: Image = large[trim : trim + SIDE, trim : trim + SIDE]
    return found


def _plasma(draw: Draw, decay: float) -> npt.NDArray[np.float32]:
    """Diamond-square fractal [224, 224] from 0 to 1 (Fournier et al. 1982); each octave is ``decay`` weaker."""
    side, wobble = 256, 100.0
    field = np.zeros((side, side), np.float32)
    step = side
    while step >= 2:
        half = step // 2
        corners = field[::step, ::step]
        square = corners + np.roll(corners, -1, 0)
        square = square + np.roll(square, -1, 1)
        field[half::step, half::step] = square / 4 + draw.uniform(-wobble, wobble, square.shape)
        middle = field[half::step, half::step]
        across = middle + np.roll(middle, 1, 0) + corners + np.roll(corners, -1, 1)
        field[::step, half::step] = across / 4 + draw.uniform(-wobble, wobble, across.shape)
        down = middle + np.roll(middle, 1, 1) + corners + np.roll(corners, -1, 0)
        field[half::step, ::step] = down / 4 + draw.uniform(-wobble, wobble, down.shape)
        step, wobble = half, wobble / decay
    field -= field.min()
    found: npt.NDArray[np.float32] = field[:SIDE, :SIDE] / field.max()
    return found
