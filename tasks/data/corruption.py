"""The fifteen corruptions of ImageNet-C (Hendrycks and Dietterich 2019), computed when an image is read, never stored.

As there, an image is first resized so that its short side is 256 pixels and cut to its central 224x224, and then harmed
at one of five severities; the constants are the paper's. Each image draws its own noise, seeded by its id, so every
backbone sees the same. Other than there, frost is drawn instead of photographed, and motion is blurred by a line of
weights instead of ImageMagick: figures are not to be set beside published ones of ImageNet-C.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from PIL import Image as Pil

from export.errors import UserError, unknown
from tasks.data.base import DataSet

SIDE, SHORT = 224, 256
SEVERITIES = (1, 2, 3, 4, 5)

Image = npt.NDArray[np.float64]
"""RGB, float64 [224, 224, 3], from 0 to 1; what comes out is clipped to that."""
Draw = np.random.Generator


def _gaussian_noise(image: Image, level: int, draw: Draw) -> Image:
    return image + draw.normal(scale=(0.08, 0.12, 0.18, 0.26, 0.38)[level], size=image.shape)


def _shot_noise(image: Image, level: int, draw: Draw) -> Image:
    photons = (60, 25, 12, 5, 3)[level]
    return draw.poisson(image * photons) / photons


def _impulse_noise(image: Image, level: int, draw: Draw) -> Image:
    amount = (0.03, 0.06, 0.09, 0.17, 0.27)[level]
    struck = draw.random(image.shape) < amount
    return np.where(struck, draw.integers(2, size=image.shape), image)


def _defocus_blur(image: Image, level: int, draw: Draw) -> Image:
    radius, soft = ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))[level]
    return _filtered(image, _disk(radius, soft))


def _glass_blur(image: Image, level: int, draw: Draw) -> Image:
    sigma, reach, rounds = ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2))[level]
    shaken = _smooth(image, sigma)
    rows, columns = np.mgrid[reach : SIDE - reach, reach : SIDE - reach]
    for _ in range(rounds):
        dy, dx = draw.integers(-reach, reach, size=(2, *rows.shape))
        moved = shaken.copy()
        moved[rows, columns] = shaken[rows + dy, columns + dx]
        shaken = moved
    return _smooth(np.clip(shaken, 0, 1), sigma)


def _motion_blur(image: Image, level: int, draw: Draw) -> Image:
    radius, sigma = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))[level]
    return _along(image, radius, sigma, draw.uniform(-45, 45))


def _zoom_blur(image: Image, level: int, draw: Draw) -> Image:
    last, step = ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))[level]
    factors = np.arange(1, last, step)
    picture = Pil.fromarray(_bytes(image))
    total: Image = image.copy()
    for factor in factors:  # in 8 bits: what that rounds is lost in the mean
        margin = (SIDE - SIDE / factor) / 2
        box = (margin, margin, SIDE - margin, SIDE - margin)
        total += np.asarray(picture.resize((SIDE, SIDE), Pil.Resampling.BILINEAR, box=box)) / 255
    total /= len(factors) + 1
    return total


def _snow(image: Image, level: int, draw: Draw) -> Image:
    mean, deviation, size, least, radius, sigma, kept = (
        (0.1, 0.3, 3.0, 0.5, 10, 4, 0.8),
        (0.2, 0.3, 2.0, 0.5, 12, 4, 0.7),
        (0.55, 0.3, 4.0, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    )[level]
    flakes = _zoomed(draw.normal(mean, deviation, (SIDE, SIDE))[..., None], size)
    flakes = np.clip(np.where(flakes < least, 0, flakes), 0, 1)
    flakes = _along(flakes, radius, sigma, draw.uniform(-135, -45))
    grey = image @ np.array([0.299, 0.587, 0.114])
    white = kept * image + (1 - kept) * np.maximum(image, grey[..., None] * 1.5 + 0.5)
    found: Image = white + flakes + flakes[::-1, ::-1]
    return found


def _frost(image: Image, level: int, draw: Draw) -> Image:
    kept, white = ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))[level]
    crystals = np.abs(_plasma(draw, 1.3) - 0.5) * 2  # ridges where a fractal crosses its middle
    crystals = (1 - crystals) ** 3
    found: Image = kept * image + white * crystals[..., None] * np.array([0.9, 0.97, 1.0])
    return found


def _fog(image: Image, level: int, draw: Draw) -> Image:
    thickness, decay = ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4))[level]
    brightest = image.max()
    found: Image = (image + thickness * _plasma(draw, decay)[..., None]) * brightest / (brightest + thickness)
    return found


def _brightness(image: Image, level: int, draw: Draw) -> Image:
    value = image.max(axis=-1, keepdims=True)  # V of HSV; hue and saturation stay
    lifted = np.minimum(value + (0.1, 0.2, 0.3, 0.4, 0.5)[level], 1)
    found: Image = np.where(value > 0, image / np.where(value > 0, value, 1), 1) * lifted
    return found


def _contrast(image: Image, level: int, draw: Draw) -> Image:
    mean = image.mean(axis=(0, 1), keepdims=True)
    found: Image = (image - mean) * (0.4, 0.3, 0.2, 0.1, 0.05)[level] + mean
    return found


def _elastic_transform(image: Image, level: int, draw: Draw) -> Image:
    from scipy.ndimage import gaussian_filter, map_coordinates

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
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float64)
    back = np.stack([rows, columns, np.ones_like(rows)], axis=-1) @ affine[:, :2]
    warped = np.stack(
        [map_coordinates(image[..., c], np.moveaxis(back, -1, 0), order=1, mode="mirror") for c in range(3)], -1
    )
    shifts = [
        gaussian_filter(draw.uniform(-1, 1, (SIDE, SIDE)), sigma, mode="reflect", truncate=3) * strength
        for _ in range(2)
    ]
    where = [rows + shifts[0], columns + shifts[1]]
    return np.stack([map_coordinates(warped[..., c], where, order=1, mode="reflect") for c in range(3)], axis=-1)


def _pixelate(image: Image, level: int, draw: Draw) -> Image:
    small = int(SIDE * (0.6, 0.5, 0.4, 0.3, 0.25)[level])
    coarse = Pil.fromarray(_bytes(image)).resize((small, small), Pil.Resampling.BOX)
    return np.asarray(coarse.resize((SIDE, SIDE), Pil.Resampling.BOX)) / 255


def _jpeg_compression(image: Image, level: int, draw: Draw) -> Image:
    out = io.BytesIO()
    Pil.fromarray(_bytes(image)).save(out, "JPEG", quality=(25, 18, 15, 10, 7)[level])
    return np.asarray(Pil.open(out).convert("RGB")) / 255


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
VERSION = 1
"""Raised whenever the same image would come out otherwise."""


def named(text: str) -> list[tuple[str, int]]:
    """``all``, ``fog`` (all five severities) or ``fog:3`` as (name, severity).

    Raises:
        UserError: no such corruption or severity.
    """
    name, _, severity = text.partition(":")
    names = list(CORRUPTIONS) if name == "all" else [name]
    if name != "all" and name not in CORRUPTIONS:
        raise unknown("corruption", name, [*CORRUPTIONS, "all"], "python -m bench.run --help")
    if severity and severity not in map(str, SEVERITIES):
        raise UserError(f"A corruption's severity is 1 to 5, not {severity!r}.")
    return [(one, level) for one in names for level in ([int(severity)] if severity else SEVERITIES)]


def corrupted(data: DataSet, name: str, severity: int, seed: int = 0) -> DataSet:
    """The test images of ``data``, each harmed as it is read; all are test.

    Args:
        name: of :data:`CORRUPTIONS`. severity: 1 to 5. seed: of the noise, together with the image's id.
    """

    def read(sample_id: str) -> bytes:
        with Pil.open(io.BytesIO(data.read(sample_id))) as file:
            square = _square(file.convert("RGB"))
        token = hashlib.sha256(f"{seed}\0{name}\0{severity}\0{sample_id}".encode("utf-8", "surrogateescape")).digest()
        draw = np.random.default_rng(int.from_bytes(token[:8], "big"))
        harmed = CORRUPTIONS[name](np.asarray(square) / 255, severity - 1, draw)
        out = io.BytesIO()
        Pil.fromarray(_bytes(harmed)).save(out, "BMP")  # nothing is lost, and hardly any time
        return out.getvalue()

    told = f"{data.digest}\0{name}\0{severity}\0{seed}\0{VERSION}"
    samples = [replace(s, split="test") for s in data.split("test")]
    return DataSet(
        f"{name}-{severity}",
        samples,
        data.classes,
        hashlib.sha256(told.encode()).hexdigest(),
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


def _bytes(image: Image) -> npt.NDArray[np.uint8]:
    return (np.clip(image, 0, 1) * 255).astype(np.uint8)


def _smooth(image: Image, sigma: float) -> Image:
    from scipy.ndimage import gaussian_filter

    found: Image = gaussian_filter(image, (sigma, sigma, 0), mode="nearest", truncate=4)
    return found


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


def _along(image: Image, radius: int, sigma: float, degrees: float) -> Image:
    """Blur to one side along a direction: weights of half a Gaussian over 2·radius + 1 pixels."""
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-(steps**2) / (2 * sigma**2))
    angle = np.deg2rad(degrees)
    y, x = steps * np.sin(angle), steps * np.cos(angle)
    reach = 2 * radius + 1
    line = np.zeros((2 * reach + 1, 2 * reach + 1))
    for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):  # each weight goes to the four pixels around its place
        rows, columns = np.floor(y).astype(int) + dy, np.floor(x).astype(int) + dx
        shares = (1 - np.abs(y - rows)) * (1 - np.abs(x - columns))
        np.add.at(line, (rows + reach, columns + reach), weights * shares)
    return _filtered(image, line / line.sum())


def _filtered(image: Image, kernel: npt.NDArray[np.float64]) -> Image:
    """Convolved with a kernel of odd sides; beyond its edges the image is mirrored."""
    from scipy.signal import fftconvolve

    reach = kernel.shape[0] // 2
    wide = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    found: Image = fftconvolve(wide, kernel[..., None], mode="valid", axes=(0, 1))
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


def _plasma(draw: Draw, decay: float) -> npt.NDArray[np.float64]:
    """Diamond-square fractal [224, 224] from 0 to 1 (Fournier et al. 1982); each octave is ``decay`` weaker."""
    side, wobble = 256, 100.0
    field = np.zeros((side, side))
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
    found: npt.NDArray[np.float64] = field[:SIDE, :SIDE] / field.max()
    return found
