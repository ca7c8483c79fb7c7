"""Cells drawn from the pictures of train: their features, every tap interpolated at the cell, and their labels."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from export.errors import UserError
from tasks.base import Batchwise, Rows
from tasks.data.targets import VOID
from tasks.scoring.features import Floats, Indices
from tasks.scoring.reading import read
from tasks.scoring.segmentation.geometry import resampling, shares_of

CELLS = "cells"
"""The array of a fit that says how many cells of each class it has seen, float64 [classes]."""

Shapes = Mapping[str, tuple[int, int, int]]
"""(channels, h, w) of each tap, by name."""


@dataclass(frozen=True)
class Bank:
    """Cells of train.

    Attributes:
        features: float32 [m, channels of all taps], tap after tap.
        shares: float32 [m, classes], how much of the cell is of each class; a row's sum is 1.
    """

    features: Floats
    shares: Floats


def empty(split: str) -> UserError:
    """A split has no pictures."""
    return UserError(f"The {split} split is empty.", "Segmentation needs train, val and test.", "add pictures to it")


def unlabelled(split: str) -> UserError:
    """A split's masks say nothing."""
    return UserError(
        f"The masks of the {split} split have no labelled pixel.", "All of their pixels are void.", "other masks"
    )


def require_val(val: Batchwise) -> None:
    """Refuse a split that nothing can be chosen on.

    Raises:
        UserError: it is empty, or has no labelled pixel.
    """
    if not len(val):
        raise empty("val")
    if not any((val.masks[row] != VOID).any() for row in range(len(val))):
        raise unlabelled("val")


def shapes_of(outputs: Mapping[str, Rows]) -> Shapes:
    """What the taps are like, finest first."""
    found = {name: (rows.shape[1], rows.shape[2], rows.shape[3]) for name, rows in outputs.items()}
    return dict(sorted(found.items(), key=lambda item: -item[1][1] * item[1][2]))


def grid_of(shapes: Shapes) -> tuple[int, int]:
    """(h, w) of the finest tap."""
    _, h, w = next(iter(shapes.values()))
    return h, w


def slices_of(shapes: Shapes) -> dict[str, slice]:
    """Which columns of a bank are which tap's."""
    ends = np.cumsum([channels for channels, _, _ in shapes.values()]).tolist()
    return {name: slice(end - shapes[name][0], end) for name, end in zip(shapes, ends, strict=True)}


def draw(train: Batchwise, each: int, most: int, seed: int) -> Bank:
    """``each`` cells of every picture, fewer where they would be more than ``most`` in all, of those with a label.

    A picture's cells depend on the seed and on its mask, and not on its place among the others.

    Raises:
        UserError: train is empty, or its masks have fewer than two classes.
        CellError: as :func:`tasks.scoring.reading.read`.
    """
    if not len(train):
        raise empty("train")
    shapes, classes = shapes_of(train.outputs), len(train.classes)
    grid, columns = grid_of(shapes), slices_of(shapes)
    each = max(1, min(each, most // len(train)))
    features = np.empty((len(train) * each, sum(channels for channels, _, _ in shapes.values())), np.float32)
    shares = np.empty((len(features), classes), np.float32)
    used = 0
    for rows, outputs in read(train, "train", "reading train"):
        for place, row in enumerate(rows.tolist()):
            mask = train.masks[row]
            labels = shares_of(mask, train.frame(row), grid, classes)
            generator = np.random.default_rng([seed, zlib.crc32(np.ascontiguousarray(mask).tobytes())])
            cells = np.flatnonzero(labels.any(axis=1))
            cells = generator.permutation(cells)[:each]
            end = used + len(cells)
            shares[used:end] = labels[cells]
            for name in shapes:
                features[used:end, columns[name]] = at_cells(outputs[name][place], cells, grid)
            used = end
    if np.count_nonzero(shares[:used].any(axis=0)) < 2:
        raise UserError("The masks of train have fewer than two classes.", "A task needs at least two.")
    return Bank(features[:used], shares[:used])


def at_cells(values: Floats, cells: Indices, grid: tuple[int, int]) -> Floats:
    """A tap, float32 [c, h, w], interpolated at cells of the grid, row after row: float32 [len(cells), c]."""
    h, w = values.shape[1:]
    if (h, w) == grid:
        return np.asarray(values.reshape(len(values), -1)[:, cells].T)
    y, x = resampling(h, grid[0]), resampling(w, grid[1])
    rows, columns = cells // grid[1], cells % grid[1]
    flat, found = (
        np.ascontiguousarray(values.reshape(len(values), -1).T),
        np.zeros((len(cells), len(values)), np.float32),
    )
    for at_y, share_y in ((y.lower, 1 - y.share), (y.upper, y.share)):
        for at_x, share_x in ((x.lower, 1 - x.share), (x.upper, x.share)):
            found += flat[at_y[rows] * w + at_x[columns]] * (share_y[rows] * share_x[columns])[:, None]
    return found
