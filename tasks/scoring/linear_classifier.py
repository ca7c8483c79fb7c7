"""The linear classifier of every probe that has one: fitted on train for a sweep of penalties, one chosen on val."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.base import FeatureSet, Splits
from tasks.scoring.features import Floats
from tasks.scoring.metrics import accuracy, log_loss
from tasks.scoring.softmax_regression import ITERATIONS, TOLERANCE, fit

PENALTIES = tuple(float(value) for value in np.logspace(2, -5, 20))
SETTINGS: Mapping[str, Any] = {
    "penalties": list(PENALTIES),
    "tolerance": TOLERANCE,
    "iterations": ITERATIONS,
    "fitted_on": "train",
}
"""What of it goes into a score's key."""


@dataclass(frozen=True)
class Chosen:
    """The classifier at the penalty that val chose.

    Attributes:
        logits: of the test images, float32 [n, classes that train has].
        present: the labels that train has, int64, in the columns' order.
        chosen, sweep: as in :class:`tasks.base.Score`.
    """

    logits: Floats
    present: npt.NDArray[np.int64]
    chosen: Mapping[str, Any]
    sweep: Sequence[Mapping[str, Any]]


def choose(splits: Splits) -> Chosen:
    """Multinomial logistic regression on standardised features, the penalty by accuracy on val, then by log-loss.

    Labels of test are not looked at; those of val must occur in train.
    """
    train, val, test = standardized(splits.train.features, splits.val.features, splits.test.features)
    present, labels = np.unique(splits.train.labels, return_inverse=True)
    val_labels = within(present, splits.val)
    solutions = fit(train, labels, len(present), PENALTIES)
    sweep: list[dict[str, Any]] = []
    for solution in solutions:
        logits = solution.logits(val)
        sweep.append(
            {
                "penalty": solution.penalty,
                "val_accuracy": accuracy(logits.argmax(axis=1), val_labels)[0][0].value,
                "val_log_loss": float(log_loss(logits, val_labels).mean()),
                "gradient_norm": solution.gradient_norm,
                "iterations": solution.iterations,
                "converged": solution.converged,
            }
        )
    best = min(range(len(sweep)), key=lambda i: (-sweep[i]["val_accuracy"], sweep[i]["val_log_loss"]))
    chosen = {name: sweep[best][name] for name in ("penalty", "val_accuracy", "val_log_loss", "converged")}
    if best in (0, len(sweep) - 1):
        chosen["note"] = "the best penalty lies at the edge of the sweep: a better one may lie beyond"
    return Chosen(solutions[best].logits(test), present, chosen, sweep)


def within(present: npt.NDArray[np.int64], part: FeatureSet) -> npt.NDArray[np.int64]:
    """The columns of ``part``'s labels among the labels that train has, int64 [n]."""
    return np.asarray(np.searchsorted(present, part.labels), np.int64)


def standardized(train: Floats, *others: Floats) -> list[Floats]:
    """All parts with train's mean taken away and divided by train's deviation; constant features become zero."""
    mean = train.mean(axis=0, dtype=np.float64)
    deviation = train.std(axis=0, dtype=np.float64)
    constant = deviation <= 1e-6 * np.abs(mean)
    scale: npt.NDArray[np.float64] = np.where(constant, 0, 1 / np.where(constant, 1, deviation))
    return [((part - mean) * scale).astype(np.float32) for part in (train, *others)]
