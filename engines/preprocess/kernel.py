"""What the kernels of ``engines/csrc/preprocess.cu`` are given: descriptions of a batch, in the layout of its structs.

Plain numbers and numpy arrays. Who has memory and a way to launch (``engines.preprocess.host``,
``engines.preprocess.device``) puts them there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from engines.preprocess.normalize import scale_and_shift
from engines.preprocess.passes import rows_first
from export.errors import UserError
from export.geometry import crop_offsets, resized_size
from export.spec import Interpolation, PreprocessSpec

SOURCE = Path(__file__).parents[1] / "csrc" / "preprocess.cu"
TILE, THREADS = 32, 256
"""As in the source."""

Type = Literal["uint8", "int8", "float16", "bfloat16", "float32"]
TYPES: tuple[Type, ...] = get_args(Type)
SIZES = {"uint8": 1, "int8": 1, "float16": 2, "bfloat16": 2, "float32": 4}
"""Bytes of an element."""
FILTERS: tuple[Interpolation, ...] = ("nearest", "bilinear", "bicubic", "lanczos")
SUPPORT = {"nearest": 0.5, "bilinear": 1.0, "bicubic": 2.0, "lanczos": 3.0}
LARGEST = 2**32
"""Bytes of a plane: offsets in it have 32 bits."""

Standard = Literal["BT.601", "BT.709", "JPEG"]
KR_KB = {"BT.601": (0.299, 0.114), "BT.709": (0.2126, 0.0722), "JPEG": (0.299, 0.114)}
"""The weights of red and blue in luma: ITU-R BT.601-7 (and JFIF, which has it in full range) and BT.709-6."""

AXIS = np.dtype([(name, np.int32) for name in ("in", "out", "first", "count", "taps", "offset")])
IMAGE = np.dtype(
    [
        ("data", np.uint64),
        ("chroma", np.uint64),
        ("chroma_pitch", np.uint32),
        ("first_step", np.uint32),
        ("second_step", np.uint32),
        ("rows_first", np.int32),
        ("first", np.int32),
        ("second", np.int32),
        ("top", np.int32),
        ("left", np.int32),
    ]
)
OUTPUT = np.dtype(
    [
        *((name, np.int32) for name in ("height", "width")),
        *((name, np.int32) for name in ("image_stride", "row_stride", "column_stride", "channel_stride")),
        ("order", np.int32, 3),
        ("fill", np.int32, 3),
        ("scale", np.float32, 3),
        ("shift", np.float32, 3),
        ("color", np.int32, 6),
    ]
)


@dataclass(frozen=True)
class Frame:
    """A decoded photograph in memory that the kernel can read: RGB, 3 bytes a pixel, or NV12 (``chroma`` is set).

    Attributes:
        data: address of the first pixel; of NV12, of the luma plane.
        pitch: bytes from one line to the next; 0 stands for lines without a gap.
        chroma: address of NV12's plane of Cb and Cr, and ``chroma_pitch`` from one of its lines to the next.
    """

    data: int
    height: int
    width: int
    pitch: int = 0
    chroma: int = 0
    chroma_pitch: int = 0


@dataclass(frozen=True)
class Target:
    """What the kernel shall write.

    Attributes:
        type: "uint8" are the pixels themselves, RGB; the others are the values that the spec asks for.
        layout: "NCHW" or "NHWC".
        step: "int8" only: what one step of the integer stands for; values are rounded to the nearest, ties to even.
        standard: how NV12 was made of RGB.
    """

    type: Type = "float32"
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    step: float = 1.0
    standard: Standard = "BT.601"


PIXELS = Target("uint8", "NHWC")
"""The pixels as a session takes them: uint8 RGB [n, height, width, 3]."""


@dataclass(frozen=True)
class Batch:
    """The arguments of one call.

    Attributes:
        entry: name of the kernel.
        images: ``IMAGE`` [n]. axes: ``AXIS`` [m]. output: ``OUTPUT``, one.
        filter: index in ``FILTERS``. table_bytes: of the scratch memory for weights.
        table_grid, grid: blocks of ``tabulate`` and of the kernel.
    """

    entry: str
    images: npt.NDArray[Any]
    axes: npt.NDArray[Any]
    output: npt.NDArray[Any]
    filter: int
    table_bytes: int
    table_grid: tuple[int, int]
    grid: tuple[int, int, int]


def batch(frames: Sequence[Frame], spec: PreprocessSpec, target: Target) -> Batch:
    """The arguments for photographs of any sizes, all RGB or all NV12.

    Raises:
        UserError: there is none; NV12 is mixed with RGB, or has odd sides; a plane is too large.
    """
    if not frames:
        raise UserError("A batch needs at least one photograph.")
    nv12 = bool(frames[0].chroma)
    axes: dict[tuple[int, int, int, int], int] = {}
    images = np.zeros(len(frames), IMAGE)
    for i, frame in enumerate(frames):
        pitch, pixel = _checked(frame, nv12)
        vertical, horizontal, top, left, swapped = geometry(spec, frame.height, frame.width)
        first, second = (vertical, horizontal) if swapped else (horizontal, vertical)
        steps = (pitch, pixel) if swapped else (pixel, pitch)
        indices = [axes.setdefault(axis, len(axes)) for axis in (first, second)]
        chroma_pitch = frame.chroma_pitch or frame.width
        images[i] = (frame.data, frame.chroma, chroma_pitch, *steps, swapped, *indices, top, left)
    tables = np.zeros(len(axes), AXIS)
    offset = 0
    for i, (size, out, begin, count) in enumerate(axes):
        taps = taps_of(spec.interpolation, size, out)
        tables[i] = (size, out, begin, count, taps, offset)
        offset += count * (2 + taps)
    rows, columns = ceil(spec.height / TILE), ceil(spec.width / TILE)
    return Batch(
        f"{'nv12' if nv12 else 'rgb'}_to_{target.type}",
        images,
        tables,
        output_of(spec, target),
        FILTERS.index(spec.interpolation),
        4 * offset,
        (ceil(int(tables["count"].max()) / THREADS), len(tables)),
        (columns, rows, len(frames)),
    )


def _checked(frame: Frame, nv12: bool) -> tuple[int, int]:
    if bool(frame.chroma) != nv12:
        raise UserError("A batch cannot mix RGB and NV12.")
    if min(frame.height, frame.width) < 1 or (nv12 and (frame.height % 2 or frame.width % 2)):
        raise UserError(
            f"A photograph of {frame.height}x{frame.width} is not a valid size{' for NV12' if nv12 else ''}."
        )
    pixel = 1 if nv12 else 3
    pitch = frame.pitch or frame.width * pixel
    if pitch * frame.height > LARGEST:
        raise UserError(f"A photograph of {frame.height}x{frame.width} is too large.", "The limit is 4 GiB.")
    return pitch, pixel


@lru_cache(maxsize=4096)
def geometry(
    spec: PreprocessSpec, height: int, width: int
) -> tuple[tuple[int, int, int, int], tuple[int, int, int, int], int, int, bool]:
    """The two axes as (in, out, first, count), rows and columns; top and left of the resized part; the order."""
    h, w = resized_size(spec, height, width)
    top, left = crop_offsets(spec, h, w)
    return (
        (height, h, max(top, 0), min(h, spec.height)),
        (width, w, max(left, 0), min(w, spec.width)),
        max(-top, 0),
        max(-left, 0),
        rows_first(height, width, h, w),
    )


def taps_of(interpolation: Interpolation, size: int, out: int) -> int:
    """The most input pixels that one output pixel can have along an axis."""
    return 1 if interpolation == "nearest" else ceil(SUPPORT[interpolation] * max(size / out, 1.0)) * 2 + 1


def output_of(spec: PreprocessSpec, target: Target) -> npt.NDArray[Any]:
    """``OUTPUT`` for a spec and a target."""
    found = np.zeros((), OUTPUT)
    found["height"], found["width"], found["fill"] = spec.height, spec.width, spec.fill
    area = spec.height * spec.width
    strides = (spec.width, 1, area) if target.layout == "NCHW" else (3 * spec.width, 3, 1)
    found["image_stride"] = 3 * area
    found["row_stride"], found["column_stride"], found["channel_stride"] = strides
    found["color"] = color_of(target.standard)
    if target.type == "uint8":
        found["order"], found["scale"] = (0, 1, 2), 1.0
        return found
    scale, shift = scale_and_shift(spec)
    step = np.float32(target.step if target.type == "int8" else 1.0)
    found["order"] = (2, 1, 0) if spec.channel_order == "BGR" else (0, 1, 2)
    found["scale"], found["shift"] = scale / step, shift / step
    return found


def color_of(standard: Standard) -> npt.NDArray[np.int32]:
    """Luma's offset, then the factors of luma, Cr to R, Cr to G, Cb to G, Cb to B, of 2^20."""
    red, blue = KR_KB[standard]
    green = 1 - red - blue
    full = standard == "JPEG"
    luma, chroma = (1.0, 1.0) if full else (255 / 219, 255 / 224)
    factors = np.array(
        [
            luma,
            chroma * 2 * (1 - red),
            -chroma * 2 * (1 - red) * red / green,
            -chroma * 2 * (1 - blue) * blue / green,
            chroma * 2 * (1 - blue),
        ]
    )
    return np.array([0 if full else 16, *np.rint(factors * 2**20)], np.int32)
