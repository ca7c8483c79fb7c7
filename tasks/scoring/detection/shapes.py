"""Masks of objects: what a head learns of them, and how those that it gives come back into the picture."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from export.geometry import Frame
from tasks.data.targets import PictureObjects
from tasks.scoring.detection.recipe import ROI_SCALE, ROI_SIDE
from tasks.scoring.detection.targets import Placed
from tasks.scoring.features import Floats

Box = npt.NDArray[np.floating]


def widened(boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Boxes [k, 4], 1.2 times as wide and high about their centres."""
    centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2 * ROI_SCALE
    return np.concatenate([centre - half, centre + half], axis=1)


def learned(objects: PictureObjects, placed: Placed, frame: Frame) -> npt.NDArray[np.float16]:
    """What share of each part of its widened box an object covers: float16 [k, 28, 28]."""
    from hotcoco import mask as codes

    height, width = frame.picture
    out = np.zeros((len(placed.rows), ROI_SIDE, ROI_SIDE), np.float16)
    parts = (np.arange(2 * ROI_SIDE) + 0.5) / (2 * ROI_SIDE)
    for index, (row, box) in enumerate(zip(placed.rows, widened(placed.boxes), strict=True)):
        shape = codes.decode({"size": [height, width], "counts": objects.shapes[row]})
        x = np.floor((box[0] + (box[2] - box[0]) * parts + frame.left) / frame.scale[0]).astype(np.int64)
        y = np.floor((box[1] + (box[3] - box[1]) * parts + frame.top) / frame.scale[1]).astype(np.int64)
        inside = ((y >= 0) & (y < height))[:, None] & ((x >= 0) & (x < width))
        values = shape[np.clip(y, 0, height - 1)[:, None], np.clip(x, 0, width - 1)] * inside
        out[index] = values.reshape(ROI_SIDE, 2, ROI_SIDE, 2).mean(axis=(1, 3))
    return out


def pasted(logits: Floats, box: Box, frame: Frame) -> tuple[npt.NDArray[np.bool_], int, int]:
    """A mask at the picture's size, cut to where it can be: bool [h, w], with its top and left in the picture.

    Args:
        logits: [s, s], at the centres of s × s equal parts of the box; between them they are interpolated bilinearly,
            and a pixel is the object's where they are positive at its centre.
        box: x1, y1, x2, y2 in the network's input, not clipped.
    """
    side = len(logits)
    x1, y1, x2, y2 = frame.into_picture(box[None])[0]
    left, top, right, bottom = int(np.floor(x1)), int(np.floor(y1)), int(np.ceil(x2)), int(np.ceil(y2))
    columns, rows = np.arange(left, right) + 0.5, np.arange(top, bottom) + 0.5
    across = (columns * frame.scale[0] - frame.left - box[0]) / max(float(box[2] - box[0]), 1e-6)
    down = (rows * frame.scale[1] - frame.top - box[1]) / max(float(box[3] - box[1]), 1e-6)
    inside = ((down >= 0) & (down < 1))[:, None] & ((across >= 0) & (across < 1))
    found = _hats(down, side) @ logits @ _hats(across, side).T
    return (found > 0) & inside, top, left


def _hats(points: npt.NDArray[np.float64], side: int) -> Floats:
    """How much each of ``side`` values weighs at points of 0 … 1: float32 [len(points), side]."""
    places = np.clip(points * side - 0.5, 0, side - 1)
    weights: Floats = np.maximum(1 - np.abs(places[:, None] - np.arange(side)), 0).astype(np.float32)
    return weights
