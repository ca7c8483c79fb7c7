"""What every scorer does with features before it trusts them. Knows no task."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from export.errors import CellError, UserError
from tasks.base import Splits

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
GRID = 2.0**25


def require_scorable(splits: Splits) -> None:
    """Refuse data on which no classifier can be scored.

    Raises:
        UserError: an empty split, fewer than two classes, or a class of val or test that train does not have.
    """
    for name, part in (("train", splits.train), ("val", splits.val), ("test", splits.test)):
        if not len(part) and name == "val":
            raise UserError(
                "The data set has no val split, and this task learns or chooses on val.",
                "A set that is given as gallery and queries has none; it serves the task retrieval.",
                "--tasks retrieval, or give the images as train, val and test",
            )
        if not len(part):
            raise UserError(f"The {name} split is empty.", "", "give it images, or leave the splitting to the program")
    known = set(splits.train.labels.tolist())
    if len(known) < 2:
        raise UserError("The training split has one class only.", "A score needs at least two classes to tell apart.")
    for name, part in (("val", splits.val), ("test", splits.test)):
        foreign = sorted(set(part.labels.tolist()) - known)
        if foreign:
            names = ", ".join(part.classes[label] for label in foreign[:5])
            raise UserError(f"The {name} split has classes that train has not.", f"Without training images: {names}.")


def require_searchable(splits: Splits) -> None:
    """Refuse data in which nothing can be looked for; val may be empty.

    Raises:
        UserError: no gallery (train), no query (test), one class only, or a query whose class is not in the gallery.
    """
    for name, part in (("gallery (train)", splits.train), ("queries (test)", splits.test)):
        if not len(part):
            raise UserError(f"There are no images in the {name}.", "Retrieval looks for queries in a gallery.")
    held = set(splits.train.labels.tolist())
    if len(held) < 2:
        raise UserError("The gallery has one class only.", "Everything in it would be found to be right.")
    if foreign := sorted(set(splits.test.labels.tolist()) - held):
        names = ", ".join(splits.test.classes[label] for label in foreign[:5])
        raise UserError(f"{len(foreign)} classes of the queries are not in the gallery.", f"They are: {names}.")


def require_finite(splits: Splits) -> None:
    """Refuse features that hold NaN or Inf: no score of them means anything.

    Raises:
        CellError: naming the split and the number of samples.
    """
    for name, part in (("train", splits.train), ("val", splits.val), ("test", splits.test)):
        bad = int((~np.isfinite(part.features)).any(axis=1).sum())
        if bad:
            raise CellError(f"The features of {bad} of {len(part)} {name} samples hold NaN or Inf.")


def on_grid(rows: Floats) -> npt.NDArray[np.float64]:
    """Rows of length at most 1, float32 [n, d], rounded to multiples of 2⁻²⁵, as float64.

    A product of two such values is a multiple of 2⁻⁵⁰, and so is every sum of them, which stays below 8 in magnitude
    (Cauchy-Schwarz, if no row is longer than 2.8): 53 bits hold it. So a matrix product of such rows is exact, in
    whatever order a processor adds and however many rows it is given at once; in float32 the last bit depends on both.
    """
    return np.asarray(np.rint(rows.astype(np.float64) * GRID) / GRID)


def l2_normalized(features: npt.NDArray[np.floating]) -> Floats:
    """Rows of length 1, float32 [n, d]; a zero row stays zero. Computed so that no row overflows or underflows."""
    values = features.astype(np.float32, copy=True)
    largest = np.abs(values).max(axis=1, keepdims=True, initial=0)
    values /= np.where(largest > 0, largest, 1)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    values /= np.where(lengths > 0, lengths, 1)
    return values
