"""What data must be for a task to be fitted on them, or judged on them; what is not so is refused with its reason.

Labels and outputs are looked at apart: labels say what a user can fix, outputs whether a cell is broken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from export.errors import CellError, UserError
from tasks.base import Batchwise, Labels, Rows
from tasks.scoring.features import Floats

BLOCK = 64 << 20
"""Bytes of rows looked at together; they may be memory-mapped, and more than memory holds."""


def require_fittable(train: Labels, val: Labels) -> None:
    """Refuse data on which no classifier can be fitted and chosen.

    Raises:
        UserError: an empty split, fewer than two classes, or a class of val that train does not have.
    """
    _require_some("train", train)
    if not len(val):
        raise UserError(
            "The data set has no val split, and this task needs one.",
            "A set of gallery and queries has none; it is for the task retrieval.",
            "--tasks retrieval, or give the images as train, val and test",
        )
    if len(np.unique(train.values)) < 2:
        raise UserError("The training split has only one class.", "A task needs at least two.")
    _require_known("val", train, val)


def require_judgeable(train: Labels, test: Labels) -> None:
    """Refuse a test split on which no classifier fitted on train can be judged.

    Raises:
        UserError: it is empty, or has a class that train does not have.
    """
    _require_some("test", test)
    _require_known("test", train, test)


def require_gallery(train: Labels) -> None:
    """Refuse a gallery in which nothing can be looked for.

    Raises:
        UserError: it is empty, or has one class only.
    """
    if not len(train):
        raise UserError("The gallery (train) has no images.", "Retrieval needs a gallery and queries.")
    if len(np.unique(train.values)) < 2:
        raise UserError("The gallery has only one class.", "Every result would be right.")


def require_queries(train: Labels, test: Labels) -> None:
    """Refuse queries that have no place in the gallery.

    Raises:
        UserError: there are none, or one's class is not in the gallery.
    """
    if not len(test):
        raise UserError("The queries (test) have no images.", "Retrieval needs a gallery and queries.")
    if foreign := _foreign(train, test):
        names = ", ".join(foreign[:5])
        raise UserError(f"{len(foreign)} classes of the queries are not in the gallery.", f"They are: {names}.")


def require_finite(outputs: Sequence[str], **splits: Batchwise) -> None:
    """Refuse outputs that hold NaN or Inf: no score of them means anything.

    Args:
        outputs: the names of those that are looked at.
        splits: by name, as the error is to name them.

    Raises:
        CellError: naming the output, the split and the number of samples.
    """
    for split, part in splits.items():
        for output in outputs:
            rows = part.outputs[output]
            bad = sum(int((~np.isfinite(block)).reshape(len(block), -1).any(axis=1).sum()) for block in blocks(rows))
            if bad:
                raise CellError(f"The {output} of {bad} of {len(part)} {split} samples hold NaN or Inf.")


def blocks(rows: Rows) -> Iterator[Floats]:
    """The rows [n, …], in their order, some at a time: as many as ``BLOCK`` holds, at least one."""
    step = max(1, BLOCK // max(1, rows[:1].nbytes))
    for start in range(0, len(rows), step):
        yield rows[start : start + step]


def _require_some(split: str, part: Labels) -> None:
    if not len(part):
        raise UserError(f"The {split} split is empty.", "", "give it images, or no splits: the program then makes them")


def _require_known(split: str, train: Labels, part: Labels) -> None:
    if foreign := _foreign(train, part):
        names = ", ".join(foreign[:5])
        raise UserError(f"The {split} split has classes that train lacks.", f"Without training images: {names}.")


def _foreign(train: Labels, part: Labels) -> list[str]:
    """The classes that ``part`` has and ``train`` has not, by name."""
    return [part.classes[label] for label in np.setdiff1d(part.values, train.values)]
