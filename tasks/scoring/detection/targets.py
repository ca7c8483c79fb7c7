"""What a detector's head is to say of a picture: a Gaussian for each object, and its box in the cells of that.

TTFNet's targets (Liu et al. 2020, "Training-time-friendly network for real-time object detection"): the Gaussian spans
0.54 of the box, and every cell of it learns the box, not the centre alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from export.geometry import Frame
from tasks.data.targets import PictureObjects
from tasks.scoring.detection.grid import Grid
from tasks.scoring.detection.recipe import GAUSSIAN
from tasks.scoring.features import Floats, Indices


@dataclass(frozen=True)
class Placed:
    """The objects of one picture that can be seen in the network's input, crowds apart.

    Attributes:
        boxes: float64 [k, 4], x1, y1, x2, y2 in the input's pixels, cut off at its border.
        columns: int64 [k], each one's class among those that are learned.
        rows: int64 [k], which objects of the picture they are.
        crowds: float64 [c, 4], where there may be more of them: no cell of these is wrong.
    """

    boxes: npt.NDArray[np.float64]
    columns: Indices
    rows: Indices
    crowds: npt.NDArray[np.float64]

    @classmethod
    def of(cls, objects: PictureObjects, frame: Frame, present: Indices) -> Placed:
        """Those of the classes ``present`` [c], sorted; all others are left out."""
        height, width = frame.input
        boxes = np.clip(frame.into_input(objects.boxes), 0, (width, height, width, height))
        seen = ((boxes[:, 2:] - boxes[:, :2]) > 1e-3).all(axis=1)
        rows = np.flatnonzero(seen & ~objects.crowd & np.isin(objects.labels, present))
        columns = np.searchsorted(present, objects.labels[rows])
        return cls(boxes[rows], columns, rows, boxes[seen & objects.crowd])


@dataclass(frozen=True)
class Targets:
    """Of one picture, on the grid [h, w].

    Attributes:
        heat: float32 [c, h, w], 1 in the cell of an object's centre; less around it.
        owners: int64 [h, w], the object (a row of :class:`Placed`) whose box a cell is to give; −1 for none.
        weights: float32 [h, w], of each cell's box; those of one object that nothing covers sum to log(1 + area).
        counted: bool [h, w], False in crowds, where heat is not wrong.
    """

    heat: Floats
    owners: Indices
    weights: Floats
    counted: npt.NDArray[np.bool_]


def targets(placed: Placed, grid: Grid, classes: int) -> Targets:
    """What is right for one picture. Where objects share a cell, it is the smaller one's."""
    heat = np.zeros((classes, grid.height, grid.width), np.float32)
    owners = np.full((grid.height, grid.width), -1, np.int64)
    weights = np.zeros((grid.height, grid.width), np.float32)
    counted = np.ones((grid.height, grid.width), bool)
    scale = np.tile(grid.stride, 2)
    for x1, y1, x2, y2 in placed.crowds / scale:
        counted[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))] = False
    sides = placed.boxes[:, 2:] - placed.boxes[:, :2]
    areas = sides.prod(axis=1)
    last = (grid.width - 1, grid.height - 1)
    centres = np.minimum((placed.boxes[:, :2] + placed.boxes[:, 2:]) / 2 / grid.stride, last).astype(np.int64)
    radii = (sides / 2 * GAUSSIAN / grid.stride).astype(np.int64)
    for owner in np.argsort(-areas, kind="stable"):
        (x, y), (across, down) = centres[owner], radii[owner]
        left, right = max(x - across, 0), min(x + across, last[0]) + 1
        top, bottom = max(y - down, 0), min(y + down, last[1]) + 1
        kernel = np.outer(_bell(np.arange(top, bottom) - y, down), _bell(np.arange(left, right) - x, across))
        part = (slice(top, bottom), slice(left, right))
        column = heat[placed.columns[owner]]
        column[part] = np.maximum(column[part], kernel)
        owners[part] = owner
        weights[part] = np.log1p(areas[owner]) * kernel / kernel.sum()
    return Targets(heat, owners, weights, counted)


def _bell(offsets: Indices, radius: int) -> npt.NDArray[np.float64]:
    """The Gaussian of CornerNet: its deviation is a sixth of its diameter."""
    return np.asarray(np.exp(-((6 * offsets / (2 * radius + 1)) ** 2) / 2))
