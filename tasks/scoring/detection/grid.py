"""Where the cells of a detector's head lie in the network's input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.base import Batchwise
from tasks.scoring.detection.recipe import STRIDE
from tasks.scoring.features import Floats


@dataclass(frozen=True)
class Grid:
    """The cells in which objects are predicted: those of the finest tap, halved until they are 8 pixels or less.

    Attributes:
        height, width: in cells.
        input: the network's input, (height, width) in pixels.
    """

    height: int
    width: int
    input: tuple[int, int]

    @classmethod
    def of(cls, part: Batchwise) -> Grid:
        """The grid for the maps of a split."""
        assert part.spec is not None
        height, width = max((rows.shape[2:] for rows in part.outputs.values()), key=lambda shape: shape[0])
        times = 1
        while round(part.spec.height / height / times) > STRIDE:
            times *= 2
        return cls(height * times, width * times, (part.spec.height, part.spec.width))

    @property
    def cells(self) -> int:
        return self.height * self.width

    @property
    def stride(self) -> tuple[float, float]:
        """Width and height of a cell in pixels of the input."""
        return self.input[1] / self.width, self.input[0] / self.height

    def centres(self) -> Floats:
        """x and y of each cell's centre in pixels of the input, float32 [2, height, width]."""
        (across, down), columns, rows = self.stride, np.arange(self.width) + 0.5, np.arange(self.height) + 0.5
        return np.stack(np.meshgrid(columns * across, rows * down)).astype(np.float32)
