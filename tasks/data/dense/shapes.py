"""Shapes of objects: polygons and run-length codes as COCO writes them → its compressed codes.

The rasterisation is that of COCO's own tool (``pycocotools.mask``), by ``hotcoco.mask``, which gives the same codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.data.dense.turning import SIDEWAYS, stored_mask, stored_points

Polygons = Sequence[Sequence[float]]
"""x1, y1, x2, y2, … of each outline, in pixels."""


class Malformed(ValueError):
    """A shape that means nothing; the text says why, in words that follow "its shape"."""


@dataclass(frozen=True)
class Shape:
    """``counts``: compressed; ``area``: pixels; ``box``: x1, y1, x2, y2; ``crossed``: an outline crosses itself."""

    counts: bytes
    area: float
    box: tuple[float, float, float, float]
    crossed: bool = False


def shape(written: Any, height: int, width: int, orientation: int = 1) -> Shape | None:
    """What a COCO ``segmentation`` covers; None where that is no pixel.

    Args:
        written: polygons, or {"size", "counts"} compressed or not.
        height, width: of the picture as stored.
        orientation: the EXIF orientation of the picture that ``written`` is drawn on; 1 for the stored one.

    Raises:
        Malformed: it is neither, or a code of another size.
    """
    from hotcoco import mask as coco

    crossed = False
    if isinstance(written, dict):
        code = _code(written, height, width, orientation)
    else:
        outlines = [_points(outline, orientation, height, width) for outline in _polygons(written)]
        outlines = [points for points in outlines if len(points) >= 3]
        if not outlines:
            return None
        codes = coco.frPyObjects([points.ravel().tolist() for points in outlines], height, width)
        areas = [float(coco.area(one)) for one in codes]
        crossed = any(_crossed(points, pixels, height, width) for points, pixels in zip(outlines, areas, strict=True))
        code = coco.merge(codes)
    area = float(coco.area(code))
    if not area:
        return None
    x, y, w, h = (float(side) for side in coco.toBbox(code))
    return Shape(bytes(code["counts"]), area, (x, y, x + w, y + h), crossed)


def _polygons(written: Any) -> list[list[float]]:
    if not isinstance(written, list):
        raise Malformed("is neither polygons nor a run-length code")
    nested = written if written and isinstance(written[0], list) else [written]
    for outline in nested:
        if not isinstance(outline, list) or not all(isinstance(number, int | float) for number in outline):
            raise Malformed("holds something that is no number")
        if not all(map(isfinite, outline)):
            raise Malformed("holds a number that is not finite")
        if len(outline) % 2:
            raise Malformed("has an odd count of coordinates")
    return nested


def _points(outline: list[float], orientation: int, height: int, width: int) -> npt.NDArray[np.float64]:
    """[n, 2], on the stored picture."""
    points = np.array(outline, np.float64).reshape(-1, 2)
    if orientation != 1:
        points = stored_points(points, orientation, height, width)
    return points.clip(-1e6, 1e6)  # so far out, where a point lies changes no pixel that is seen


def _crossed(points: npt.NDArray[np.float64], pixels: float, height: int, width: int) -> bool:
    """Whether the signed area of an outline is far from what it covers, as of a figure eight; only within the frame."""
    if points.min() < 0 or (points.max(0) > (width, height)).any():
        return False
    after = np.concatenate([points[1:], points[:1]])
    signed = abs(float((points[:, 0] * after[:, 1] - points[:, 1] * after[:, 0]).sum())) / 2
    around = float(np.hypot(*(after - points).T).sum())
    return abs(signed - pixels) > around + 0.1 * pixels


def _code(written: dict[str, Any], height: int, width: int, orientation: int) -> Any:
    from hotcoco import mask as coco

    counts, size = written.get("counts"), written.get("size")
    across = (width, height) if orientation in SIDEWAYS else (height, width)
    if not isinstance(size, list) or tuple(size) != across:
        raise Malformed(f"is a run-length code of the size {size}, and its picture has {list(across)}")
    whole = isinstance(counts, list) and all(isinstance(run, int) and run >= 0 for run in counts)
    if not whole and not isinstance(counts, str):
        raise Malformed("is a run-length code without counts")
    try:
        total = sum(counts if isinstance(counts, list) else _runs(str(counts)))
        if total != height * width:
            raise Malformed(f"is a run-length code of {total:,} pixels, and its picture has {height * width:,}")
        code = coco.frPyObjects({"size": list(across), "counts": counts}, *across)
        mask = coco.decode(code)
    except Malformed:
        raise
    except (ValueError, TypeError, OverflowError, IndexError) as error:
        raise Malformed(f"is no run-length code ({error})") from error
    return coco.encode(np.asfortranarray(stored_mask(mask, orientation)))


def _runs(text: str) -> list[int]:
    """The runs of a compressed code, 5 bits a letter, differences from the last but one (cocoapi, ``rleFrString``).

    The libraries fill a code that is cut off with background: only the sum of its runs shows that it is.
    """
    runs: list[int] = []
    at = 0
    while at < len(text):
        run, shift, more = 0, 0, True
        while more:
            bits = ord(text[at]) - 48
            run |= (bits & 31) << shift
            shift, at, more = shift + 5, at + 1, bool(bits & 32)
        if bits & 16:
            run -= 1 << shift
        runs.append(run + (runs[-2] if len(runs) > 2 else 0))
    return runs
