"""Between grids, and between a grid and the picture: bilinear, half-pixel centres, clamped at the edge.

A map of [h, w] cells covers the network's input exactly, so that the cell in column i lies between i and i + 1 of the
map's own coordinates. Resampling is that of ``torch.nn.functional.interpolate(mode="bilinear", align_corners=False)``,
and of ONNX's Resize with ``mode="linear"`` and ``half_pixel``: separable, and so two small matrices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from export.geometry import Frame
from tasks.scoring.features import Floats, Indices
from tasks.scoring.metrics import Doubles


@dataclass(frozen=True)
class Between:
    """Each place's two neighbouring cells along one axis: int64 [n] both, and the share of the upper, float32 [n]."""

    lower: Indices
    upper: Indices
    share: Floats

    @classmethod
    def of(cls, places: Doubles, first: int, last: int) -> Between:
        """Of places in a map's coordinates; none but the cells ``first`` … ``last`` are read."""
        centred = np.clip(places - 0.5, first, last)
        lower = centred.astype(np.int64)
        return cls(lower, np.minimum(lower + 1, last), (centred - lower).astype(np.float32))

    def matrix(self, cells: int) -> Floats:
        """The interpolation as a matrix, float32 [n, cells]."""
        rows, found = np.arange(len(self.lower)), np.zeros((len(self.lower), cells), np.float32)
        found[rows, self.lower] = 1 - self.share
        found[rows, self.upper] += self.share
        return found


def resampling(cells: int, wanted: int) -> Between:
    """From a map of ``cells`` to one of ``wanted`` cells that covers the same."""
    places: Doubles = (np.arange(wanted, dtype=np.float64) + 0.5) * (cells / wanted)
    return Between.of(places, 0, cells - 1)


@dataclass(frozen=True)
class Axis:
    """One axis of a picture, seen on a grid.

    Attributes:
        places: of the picture's pixel centres, in the grid's coordinates, float64 [pixels].
        cells: of the grid. first, last: the cells that the picture reaches; the others are padding.
    """

    places: Doubles
    cells: int
    first: int
    last: int

    @classmethod
    def of(cls, pixels: int, scale: float, offset: int, side: int, cells: int) -> Axis:
        """``offset``: what is cut off the resized picture (negative: padding); ``side``: of the input, in pixels."""
        per_cell = side / cells
        begin, end = max(0, -offset), min(side, round(pixels * scale) - offset)
        places: Doubles = ((np.arange(pixels, dtype=np.float64) + 0.5) * scale - offset) / per_cell
        return cls(places, cells, math.floor(begin / per_cell), math.ceil(end / per_cell) - 1)

    def matrix(self) -> Floats:
        """From the grid to the pixels, float32 [pixels, cells]: pixels that were cropped away get the edge's."""
        return Between.of(self.places, self.first, self.last).matrix(self.cells)

    def holders(self) -> Indices:
        """The cell in which each pixel's centre lies, int64 [pixels]; −1 where it was cropped away."""
        inside = (self.places >= 0) & (self.places < self.cells)
        return np.where(inside, np.floor(self.places), -1).astype(np.int64)


def axes(frame: Frame, grid: tuple[int, int]) -> tuple[Axis, Axis]:
    """A picture's two axes, y and x, on a grid of (h, w) cells over the network's input."""
    (height, width), (input_h, input_w), (scale_x, scale_y) = frame.picture, frame.input, frame.scale
    return (
        Axis.of(height, scale_y, frame.top, input_h, grid[0]),
        Axis.of(width, scale_x, frame.left, input_w, grid[1]),
    )


def mask_of(logits: Floats, frame: Frame) -> npt.NDArray[np.int16]:
    """The class of each of the picture's pixels, int16 [height, width], of logits float32 [classes, h, w].

    The logits are interpolated at the pixels' centres, and the largest is taken, the first of equal ones. They are
    enlarged one class after the other, so that memory holds two planes of the picture's size.
    """
    y, x = axes(frame, (logits.shape[1], logits.shape[2]))
    down, across = y.matrix(), x.matrix().T
    best = down @ (logits[0] @ across)
    found = np.zeros(best.shape, np.int16)
    for column, plane in enumerate(logits[1:], 1):
        values = down @ (plane @ across)
        found[values > best] = column
        np.maximum(best, values, out=best)
    return found


def shares_of(mask: npt.NDArray[np.int16], frame: Frame, grid: tuple[int, int], classes: int) -> Doubles:
    """How much of each cell is of each class, float64 [h · w, classes].

    By the pixels whose centres lie in the cell; void ones do not count. A row is all zero where a cell has no other
    pixel: padding, void, and cells smaller than a pixel in which no centre lies.
    """
    y, x = axes(frame, grid)
    rows, columns = y.holders(), x.holders()
    counted = (mask >= 0) & (rows >= 0)[:, None] & (columns >= 0)
    cells = (rows[:, None] * grid[1] + columns)[counted]
    counts = np.bincount(cells * classes + mask[counted], minlength=grid[0] * grid[1] * classes)
    found = counts.reshape(-1, classes).astype(np.float64)
    return np.asarray(found / np.maximum(found.sum(axis=1, keepdims=True), 1))
