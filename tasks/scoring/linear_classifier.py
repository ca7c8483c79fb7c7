"""The linear classifier of every probe that has one: fitted on train for a sweep of penalties, one chosen on val.

Tasks that judge it name :data:`FIT` in their metadata, so that it is fitted once for all of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.base import FEATURES, Batchwise, FitMeta, Fitted
from tasks.scoring import softmax_regression
from tasks.scoring.features import Floats, Indices
from tasks.scoring.metrics import Doubles, accuracy, log_loss
from tasks.scoring.requirements import require_finite, require_fittable
from tasks.scoring.softmax_regression import ITERATIONS, TOLERANCE, affine

PENALTIES = tuple(float(value) for value in np.logspace(2, -5, 20))
FIT = FitMeta(
    "linear_classifier",
    1,
    {"penalties": list(PENALTIES), "tolerance": TOLERANCE, "iterations": ITERATIONS, "fitted_on": "train"},
)


def fit(train: Batchwise, val: Batchwise, seed: int) -> Fitted:
    """Multinomial logistic regression on standardised features, the penalty by accuracy on val, then by log-loss.

    Returns:
        ``arrays``: ``present``, int64 [c], the labels that train has, in the order of the logits; ``mean`` and
        ``scale``, float64 [d], the standardisation; ``weights`` and ``bias``, float32 [c, d] and [c], of standardised
        features, at the chosen penalty.

    Raises:
        UserError: the labels cannot be fitted on. CellError: features hold NaN or Inf.
    """
    require_fittable(train.labelled, val.labelled)
    require_finite((FEATURES,), train=train, val=val)
    mean, scale = standardisation(train.features)
    present, labels = np.unique(train.labels, return_inverse=True)
    train_rows, val_rows = (standardized(part.features, mean, scale) for part in (train, val))
    solutions = softmax_regression.fit(train_rows, labels, len(present), PENALTIES)
    val_labels = columns(present, val)
    sweep: list[dict[str, Any]] = []
    for solution in solutions:
        found = solution.logits(val_rows)
        sweep.append(
            {
                "penalty": solution.penalty,
                "val_accuracy": accuracy(found.argmax(axis=1), val_labels)[0][0].value,
                "val_log_loss": float(log_loss(found, val_labels).mean()),
                "gradient_norm": solution.gradient_norm,
                "iterations": solution.iterations,
                "converged": solution.converged,
            }
        )
    best = min(range(len(sweep)), key=lambda i: (-sweep[i]["val_accuracy"], sweep[i]["val_log_loss"]))
    chosen = {name: sweep[best][name] for name in ("penalty", "val_accuracy", "val_log_loss", "converged")}
    if best in (0, len(sweep) - 1):
        chosen["note"] = "the best penalty lies at the edge of the sweep: a better one may lie beyond"
    arrays: dict[str, npt.NDArray[Any]] = {"present": present, "mean": mean, "scale": scale}
    arrays |= {"weights": solutions[best].weights, "bias": solutions[best].bias}
    return Fitted(train, seed, arrays, chosen, sweep)


def logits(fitted: Fitted, part: Batchwise) -> Floats:
    """Of each image of ``part``, float32 [n, c], a column for each label that train has."""
    learned = fitted.arrays
    rows = standardized(part.features, learned["mean"], learned["scale"])
    return affine(rows, learned["weights"], learned["bias"])


def columns(present: Indices, part: Batchwise) -> Indices:
    """The column of each of ``part``'s labels in the logits, int64 [n]."""
    return np.asarray(np.searchsorted(present, part.labels), np.int64)


def folded(fitted: Fitted) -> tuple[Floats, Floats]:
    """Weights and bias of features as they come, float32 [c, d] and [c]: the standardisation is within them."""
    learned = fitted.arrays
    weights: Doubles = learned["weights"] * learned["scale"]
    bias: Doubles = learned["bias"] - weights @ learned["mean"]
    return weights.astype(np.float32), bias.astype(np.float32)


def standardisation(train: Floats) -> tuple[Doubles, Doubles]:
    """Mean and 1 / deviation of each feature of train [n, d], both float64 [d]; the latter is 0 for a constant one."""
    mean: Doubles = np.asarray(train.mean(axis=0, dtype=np.float64))
    return mean, scale_of(mean, np.asarray(train.std(axis=0, dtype=np.float64)))


def scale_of(mean: Doubles, deviation: Doubles) -> Doubles:
    """1 / deviation, float64 [d]; 0 where a feature is constant, up to the rounding of its mean."""
    constant = deviation <= 1e-6 * np.abs(mean)
    return np.where(constant, 0, 1 / np.where(constant, 1, deviation))


def standardized(rows: Floats, mean: Doubles, scale: Doubles) -> Floats:
    """(rows − mean) · scale, float32 [n, d]."""
    return np.asarray((rows - mean) * scale, np.float32)
