"""What is right for a picture, beyond one class: a class for each pixel, or objects with boxes and shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Kind = Literal["labels", "masks", "boxes", "shapes"]
"""One class a picture; a class for each pixel; boxes of objects; boxes and shapes of objects."""
SERVES: dict[Kind, tuple[Kind, ...]] = {
    "labels": ("labels",),
    "masks": ("masks",),
    "boxes": ("boxes",),
    "shapes": ("boxes", "shapes"),
}
"""The kind of a data set's targets → the kinds of tasks that can be scored on it."""
VOID = -1
"""The class of pixels that are neither right nor wrong."""

Indices = npt.NDArray[np.int64]
Mask = npt.NDArray[np.int16]
"""int16 [height, width]: the class of each pixel, or :data:`VOID`."""


@dataclass(frozen=True)
class Masks:
    """A class for each pixel, picture by picture; read when asked for.

    Attributes:
        classes: names, in the order of the classes; the same for all splits.
        sizes: int64 [n, 2], (height, width) of the pictures, and so of their masks.
        read: row → its mask.
        pictures: int64 [n], where some rows are windows of a larger picture: the number of each row's picture, in the
            order of their first rows; None where every row is a picture of its own.
    """

    classes: tuple[str, ...]
    sizes: Indices
    read: Callable[[int], Mask]
    pictures: Indices | None = None

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, row: int) -> Mask:
        return self.read(row)

    @property
    def firsts(self) -> Indices:
        """The first row of each picture, in their order."""
        if self.pictures is None:
            return np.arange(len(self))
        return np.unique(self.pictures, return_index=True)[1]


@dataclass(frozen=True)
class PictureObjects:
    """The objects of one picture.

    Attributes:
        boxes: float64 [k, 4], x1, y1, x2, y2 in the picture's pixels, within it, each of positive area.
        labels: int64 [k], 0 … classes − 1.
        crowd: bool [k], regions of many objects: neither right nor wrong to find (COCO's iscrowd).
        areas: float64 [k], pixels: the shape's, or the box's where there is no shape.
        shapes: COCO run-length codes (compressed "counts"), one an object, over the whole picture; empty where there
            are boxes alone.
    """

    boxes: npt.NDArray[np.float64]
    labels: Indices
    crowd: npt.NDArray[np.bool_]
    areas: npt.NDArray[np.float64]
    shapes: tuple[bytes, ...] = ()

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True)
class Objects:
    """Objects with boxes, and with shapes where the set has them, picture by picture.

    Attributes:
        classes: names, in label order; the same for all splits.
        sizes: int64 [n, 2], (height, width) of the pictures.
        pictures: one for each row; a picture may have no object.
        shaped: every object has a shape.
    """

    classes: tuple[str, ...]
    sizes: Indices
    pictures: Sequence[PictureObjects]
    shaped: bool = False

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, row: int) -> PictureObjects:
        return self.pictures[row]
