"""The fifteen corruptions of ImageNet-C (Hendrycks and Dietterich 2019), computed when an image is read, never stored.

As there, an image is first resized so that its short side is 256 pixels and cut to its central 224x224, and then
corrupted at one of five severities; the constants are the paper's. Each image draws its own noise, seeded by its id, so
every backbone sees the same. Unlike there, frost is drawn instead of photographed, and motion is blurred by a line of
weights instead of ImageMagick: results are not comparable with published ones of ImageNet-C.

An image with masks or boxes is corrupted whole and at its own size, as Michaelis et al. 2019 do for detection, so that
they stay true of it. The constants are the same, in pixels of that image: the larger it is, the less a blur hides.
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
from tasks.data.targets import Kind

SIDE, SHORT = 224, 256
LONGEST = 2048
"""Pixels of the side of the largest fractal."""
SEVERITIES = (1, 2, 3, 4, 5)

Image = npt.NDArray[np.float32]
"""RGB, float32 [height, width, 3], from 0 to 1; what comes out is of the same size, and is clipped to that range."""
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
    height, width, _ = image.shape
    inner = slice(reach, height - reach), slice(reach, width - reach)
    place = np.arange(height * width).reshape(height, width)[inner]
    for _ in range(rounds):
        dy, dx = draw.integers(-reach, reach, size=(2, *place.shape), dtype=np.int16)
        moved = shaken.copy()
        moved[inner] = np.take(shaken.reshape(-1, 3), place + width * dy.astype(np.int64) + dx, axis=0)
        shaken = moved
    return smooth(np.clip(shaken, 0, 1), sigma)


def _motion_blur(image: Image, level: int, draw: Draw) -> Image:
    radius, sigma = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))[level]
    return along(image, radius, sigma, draw.uniform(-45, 45))


def _zoom_blur(image: Image, level: int, draw: Draw) -> Image:
    last, step = ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))[level]
    factors = np.arange(1, last, step)
    picture = Pil.fromarray(_bytes(image))
    width, height = picture.size
    total = np.zeros(image.shape, np.uint16)
    for factor in factors:  # in 8 bits: what that rounds is lost in the mean
        left, top = ((side - side / factor) / 2 for side in picture.size)
        box = (left, top, width - left, height - top)
        total += np.asarray(picture.resize(picture.size, Pil.Resampling.BILINEAR, box=box))
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
    flakes = mean + deviation * draw.standard_normal((*image.shape[:2], 1), np.float32)
    flakes = _zoomed(flakes.astype(np.float32), size)
    flakes = np.clip(np.where(flakes < least, 0, flakes), 0, 1)
    flakes = along(flakes, radius, sigma, draw.uniform(-135, -45))
    grey = image @ np.array([0.299, 0.587, 0.114], np.float32)
    white = kept * image + (1 - kept) * np.maximum(image, grey[..., None] * 1.5 + 0.5)
    found: Image = white + flakes + flakes[::-1, ::-1]
    return found


def _frost(image: Image, level: int, draw: Draw) -> Image:
    kept, white = ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))[level]
    crystals = np.abs(_plasma(image, draw, 1.3) - 0.5) * 2  # ridges where a fractal crosses its middle
    crystals = (1 - crystals) ** 3
    found: Image = kept * image + white * crystals[..., None] * np.array([0.9, 0.97, 1.0], np.float32)
    return found


def _fog(image: Image, level: int, draw: Draw) -> Image:
    thickness, decay = ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4))[level]
    brightest = image.max()
    found: Image = (image + thickness * _plasma(image, draw, decay)[..., None]) * brightest / (brightest + thickness)
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
    height, width, _ = image.shape
    third = min(height, width) // 3
    points = np.array([[1, 1], [1, -1], [-1, -1]]) * third + (height // 2, width // 2)
    moved = points + draw.uniform(-shear, shear, points.shape)
    ones = np.ones((3, 1))
    affine = np.linalg.solve(np.hstack([moved, ones]), np.hstack([points, ones]))
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    y, x = (a * rows + b * columns + c for a, b, c in affine[:, :2].T.astype(np.float32))
    warped = sampled(image, y, x, repeat_edge=False)
    noise = 2 * draw.random((2, height, width), np.float32) - 1
    dy, dx = (strength * wide_blur(plane, sigma) for plane in noise)
    return sampled(warped, rows + dy, columns + dx, repeat_edge=True)


def _pixelate(image: Image, level: int, draw: Draw) -> Image:
    picture = Pil.fromarray(_bytes(image))
    width, height = (max(1, int(side * (0.6, 0.5, 0.4, 0.3, 0.25)[level])) for side in picture.size)
    coarse = picture.resize((width, height), Pil.Resampling.BOX)
    return _unit(coarse.resize(picture.size, Pil.Resampling.BOX))


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
MOVING = ("elastic_transform",)
"""Those that move what is in an image: its masks and boxes would be wrong."""
VERSION = 2
"""Raised whenever the same image would come out otherwise."""


def named(text: str, kind: Kind = "labels") -> list[tuple[str, int]]:
    """``all``, ``fog`` (all five severities) or ``fog:3`` as (name, severity).

    Args:
        kind: of the targets of the images. Where they are masks or objects, ``all`` is all but :data:`MOVING`.

    Raises:
        UserError: no such corruption or severity.
    """
    name, _, severity = text.partition(":")
    names = [one for one in CORRUPTIONS if kind == "labels" or one not in MOVING] if name == "all" else [name]
    if name != "all" and name not in CORRUPTIONS:
        raise unknown("corruption", name, [*CORRUPTIONS, "all"], "bob run --help")
    if severity and severity not in map(str, SEVERITIES):
        raise UserError(f"The severity of a corruption is 1 to 5, not {severity!r}.")
    return [(one, level) for one in names for level in ([int(severity)] if severity else SEVERITIES)]


def corrupted(data: DataSet, name: str, severity: int, seed: int = 0, orientation: Orientation = "stored") -> DataSet:
    """The test images of ``data``, each corrupted as it is read, with their targets; all are test.

    Args:
        name: of :data:`CORRUPTIONS`. severity: 1 to 5. seed: of the noise, together with the image's id.
        orientation: how an image is read before it is corrupted; masks and boxes are those of the stored one.

    Raises:
        UserError: it is of :data:`MOVING`, and the images have masks or objects.
    """
    if data.targets and name in MOVING:
        raise UserError(
            f"{name} moves what is in a picture, and {data.name} has {data.kind}.",
            "They would not move with it.",
            "--corruptions all leaves it out; or name others",
        )

    def read(sample_id: str) -> bytes:
        stored = Pil.fromarray(decode(data.read(sample_id), orientation))
        token = hashlib.sha256(f"{seed}\0{name}\0{severity}\0{sample_id}".encode("utf-8", "surrogateescape")).digest()
        draw = np.random.default_rng(int.from_bytes(token[:8], "big"))
        altered = CORRUPTIONS[name](_unit(stored if data.targets else _square(stored)), severity - 1, draw)
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
        kind=data.kind,
        targets=data.targets,
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

    found = image
    for axis, side in enumerate(image.shape[:2]):
        found = _middle(found, axis, int(np.ceil(side / factor)))
    found = zoom(found, (factor, factor, 1), order=1)
    for axis, side in enumerate(image.shape[:2]):
        found = _middle(found, axis, side)
    return found


def _middle(image: Image, axis: int, side: int) -> Image:
    start = (image.shape[axis] - side) // 2
    return np.take(image, range(start, start + side), axis)


def _plasma(image: Image, draw: Draw, decay: float) -> npt.NDArray[np.float32]:
    """Diamond-square fractal of the image's size, from 0 to 1 (Fournier et al. 1982); each octave is ``decay`` weaker.

    It is cut from a square whose side is a power of two. The square's opposite edges meet, so that it repeats without a
    seam where an image is longer than :data:`LONGEST`.
    """
    height, width, _ = image.shape
    side, wobble = min(max(256, 1 << (max(height, width) - 1).bit_length()), LONGEST), 100.0
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
    found: npt.NDArray[np.float32] = field[np.ix_(np.arange(height) % side, np.arange(width) % side)] / field.max()
    return found
