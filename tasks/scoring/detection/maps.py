"""The maps of a split as a fit reads them: once from where they lie, then from memory, where they fit into it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.base import Batchwise
from tasks.scoring.features import Floats, Indices
from tasks.scoring.linear_classifier import scale_of
from tasks.scoring.reading import read as blocks

HELD = 2 << 30
"""Bytes of maps that are held in memory; of what is larger, each batch is read where it lies."""
_LARGEST = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class Scaling:
    """Mean and 1 / deviation of each channel of each tap, float32 [c, 1, 1] by name; the latter is 0 for a constant."""

    mean: dict[str, Floats]
    scale: dict[str, Floats]


@dataclass(frozen=True)
class Maps:
    """The taps of a split.

    Attributes:
        part: where they lie. held: float16 [n, c, h, w] by name, in memory; None where they do not fit.
    """

    part: Batchwise
    held: dict[str, npt.NDArray[np.float16]] | None

    def batch(self, rows: Indices, scaling: Scaling) -> dict[str, Floats]:
        """Some rows, standardised: float32 [len(rows), c, h, w] by name."""
        found = self.part.at(rows) if self.held is None else {name: part[rows] for name, part in self.held.items()}
        return {
            name: (values.astype(np.float32) - scaling.mean[name]) * scaling.scale[name]
            for name, values in found.items()
        }

    @property
    def channels(self) -> dict[str, int]:
        """Of each tap, by name."""
        return {name: rows.shape[1] for name, rows in self.part.outputs.items()}


def read(part: Batchwise, split: str) -> tuple[Maps, Scaling]:
    """Read every row once: what fits is held, and mean and deviation are of all cells of all rows.

    Raises:
        CellError: some hold NaN or Inf.
    """
    shapes = {name: rows.shape for name, rows in part.outputs.items()}
    fits = sum(2 * int(np.prod(shape)) for shape in shapes.values()) <= HELD
    held = {name: np.empty(shape, np.float16) for name, shape in shapes.items()} if fits else None
    sums = {name: np.zeros((2, shape[1])) for name, shape in shapes.items()}
    for rows, outputs in blocks(part, split, f"reading {split}"):
        for name, values in outputs.items():
            wide = values.astype(np.float64)
            sums[name] += wide.sum(axis=(0, 2, 3)), np.square(wide).sum(axis=(0, 2, 3))
            if held is not None:
                held[name][rows] = np.clip(values, -_LARGEST, _LARGEST)
    mean, scale = {}, {}
    for name, (total, squares) in sums.items():
        count = len(part) * shapes[name][2] * shapes[name][3]
        centre = total / count
        deviation = np.sqrt(np.maximum(squares / count - centre**2, 0))
        mean[name] = centre.astype(np.float32)[:, None, None]
        scale[name] = scale_of(centre, deviation).astype(np.float32)[:, None, None]
    return Maps(part, held), Scaling(mean, scale)
