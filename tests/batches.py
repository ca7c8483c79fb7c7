"""Splits for tests of tasks: made of arrays, cut, changed and scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tasks.base import FEATURES, Batchwise, Labels, Score, Splits, Task
from tasks.catalog import TASKS, task
from tasks.data.base import OUTSIDE

Array = npt.NDArray[np.generic]

ON_LABELS = tuple(name for name in TASKS if task(name).meta.kind == "labels")
"""The tasks that are scored on one class a picture."""


def pooled(features: Array, labels: Array, classes: Sequence[str]) -> Batchwise:
    """A split of pooled features [n, d] and labels [n], in the types that the contract asks."""
    return Batchwise({FEATURES: features.astype(np.float32)}, Labels(labels.astype(np.int64), tuple(classes)))


def with_features(part: Batchwise, features: Array) -> Batchwise:
    """The same images, seen otherwise."""
    return replace(part, outputs={**part.outputs, FEATURES: features.astype(np.float32)})


def with_labels(part: Batchwise, labels: Array) -> Batchwise:
    """The same images, labelled otherwise."""
    return replace(part, targets=replace(part.labelled, values=labels.astype(np.int64)))


def with_junk(splits: Splits, junk: Array) -> Splits:
    """The same splits; ``junk`` holds pairs (row of test, row of train)."""
    targets = replace(splits.test.labelled, junk=junk.astype(np.int64))
    return replace(splits, test=replace(splits.test, targets=targets))


def rows_of(part: Batchwise, rows: Array | slice) -> Batchwise:
    """These rows of a split without junk, by index, mask or slice."""
    assert not len(part.labelled.junk)
    targets = replace(part.labelled, values=part.labels[rows])
    return Batchwise({name: np.asarray(found)[rows] for name, found in part.outputs.items()}, targets)


def opened(splits: Splits, known: int) -> Splits:
    """The first ``known`` classes to fit on; the test images of all others are out of scope."""
    classes = (*splits.train.classes[:known], OUTSIDE)

    def among(part: Batchwise) -> Batchwise:
        inside = rows_of(part, part.labels < known)
        return replace(inside, targets=replace(inside.labelled, classes=classes))

    test = with_labels(splits.test, np.minimum(splits.test.labels, known))
    test = replace(test, targets=replace(test.labelled, classes=classes))
    return Splits(among(splits.train), among(splits.val), test)


def score(task: Task, splits: Splits, seed: int = 0) -> Score:
    """Fit, and judge."""
    return task.judge(task.fit(splits.train, splits.val, seed), splits.test)
