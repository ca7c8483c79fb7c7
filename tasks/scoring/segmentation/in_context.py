"""Segmentation by looking up similar cells of train: nothing is learned from labels, no weight, no rate.

Balažević et al. 2023, "Towards In-Context Scene Understanding" (Hummingbird): a cell gets the labels of its k nearest
cells of train by cosine, soft ones, weighted by exp(cosine / β); k = 30 and β = 0.02 are theirs. Here the cells are
those of the finest feature map, with all maps interpolated there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.base import Batchwise, Fitted
from tasks.scoring.features import Floats, l2_normalized
from tasks.scoring.linear_classifier import standardisation
from tasks.scoring.neighbours import BLOCK, largest
from tasks.scoring.segmentation.cells import CELLS, at_cells, draw, grid_of, shapes_of

K = 30
TEMPERATURE = 0.02
"""β."""
EACH = 100
MOST = 1 << 16
AXES = 128
"""Principal axes of the bank in which cosines are taken: a tenth of the time of a wide backbone's."""
SETTINGS = {"k": K, "temperature": TEMPERATURE, "cells_per_image": EACH, "cells": MOST, "axes": AXES}


def remember(train: Batchwise, seed: int) -> Fitted:
    """The bank.

    Returns:
        ``arrays``: ``bank``, float32 [m, k], unit rows; ``shares``, float32 [m, classes]; ``mean`` and ``scale``,
        float32 [c], and ``axes``, float32 [c, k], that make such rows of channels; ``cells``, as of every segmenter.

    Raises:
        UserError: train is empty, or has fewer than two classes. CellError: a map holds NaN or Inf.
    """
    bank = draw(train, EACH, MOST, seed)
    mean, scale = (part.astype(np.float32) for part in standardisation(bank.features))
    rows = l2_normalized((bank.features - mean) * scale)
    variances, directions = np.linalg.eigh(rows.T @ rows)
    axes = np.ascontiguousarray(directions[:, np.flatnonzero(variances > 1e-6 * variances[-1])[-AXES:]])
    arrays: dict[str, npt.NDArray[Any]] = {
        "bank": l2_normalized(rows @ axes),
        "shares": bank.shares,
        "mean": mean,
        "scale": scale,
        "axes": axes,
        CELLS: bank.shares.sum(axis=0, dtype=np.float64),
    }
    return Fitted(train, seed, arrays, {"k": min(K, len(rows)), "cells": len(rows)})


def votes(fitted: Fitted, outputs: Mapping[str, Floats]) -> Iterator[Floats]:
    """The shares of the votes for each class at each cell, float32 [classes, h, w], picture after picture.

    Args:
        outputs: the taps of some pictures, float32 [n, c, h', w'] by name.
    """
    learned, shapes = fitted.arrays, shapes_of(outputs)
    grid, k = grid_of(shapes), fitted.chosen["k"]
    every = np.arange(grid[0] * grid[1])
    step = max(1, BLOCK // len(learned["bank"]))
    for maps in zip(*(outputs[name] for name in shapes), strict=True):
        channels = np.concatenate([at_cells(values, every, grid) for values in maps], axis=1)
        queries = l2_normalized((channels - learned["mean"]) * learned["scale"] @ learned["axes"])
        found = np.empty((len(queries), learned["shares"].shape[1]), np.float32)
        for start in range(0, len(queries), step):
            close, near = largest(queries[start : start + step] @ learned["bank"].T, k)
            weights = np.exp((close - close[:, :1]) / np.float32(TEMPERATURE))
            weights /= weights.sum(axis=1, keepdims=True)
            found[start : start + step] = np.einsum("qk,qkc->qc", weights, learned["shares"][near])
        yield np.ascontiguousarray(found.T).reshape(-1, *grid)
