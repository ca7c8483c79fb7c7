"""Linear classifiers on several seeded subsets of training images, with one penalty for all of them, chosen on val."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.base import Batchwise, Fitted
from tasks.scoring.features import Floats, Indices, l2_normalized
from tasks.scoring.metrics import Doubles
from tasks.scoring.softmax_regression import affine, fit

PENALTIES = tuple(float(value) for value in np.logspace(0, -5, 6))


@dataclass(frozen=True)
class DrawnClassifiers:
    """Those at the penalty that val chose.

    Attributes:
        weights, bias: float32 [draws, classes, d] and [draws, classes].
        chosen: the penalty and its accuracy on val, over all draws. sweep: a row a penalty (JSON values, both).
    """

    weights: Floats
    bias: Floats
    chosen: Mapping[str, Any]
    sweep: Sequence[Mapping[str, Any]]


def choose(
    train: Floats, labels: Indices, draws: Iterable[Indices], val: Floats, val_labels: Indices
) -> DrawnClassifiers:
    """Multinomial logistic regression on each draw; the penalty by accuracy on val over all draws.

    Args:
        train, val: float32 [m, d] and [n, d]. labels, val_labels: int64; each from 0 on occurs in ``labels``.
        draws: rows of ``train``, with every class among them.
    """
    classes = int(labels.max()) + 1
    fits = [fit(train[rows], labels[rows], classes, PENALTIES) for rows in draws]

    def at(i: int) -> tuple[Floats, Floats]:
        return np.stack([found[i].weights for found in fits]), np.stack([found[i].bias for found in fits])

    sweep: list[dict[str, Any]] = [
        {
            "penalty": penalty,
            "val_accuracy": float(rights(*at(i), val, val_labels).mean()),
            "converged": all(found[i].converged for found in fits),
        }
        for i, penalty in enumerate(PENALTIES)
    ]
    best = max(range(len(sweep)), key=lambda i: sweep[i]["val_accuracy"])
    chosen = {name: sweep[best][name] for name in ("penalty", "val_accuracy")}
    return DrawnClassifiers(*at(best), chosen, sweep)


def fit_on_draws(
    train: Batchwise,
    val: Batchwise,
    seed: int,
    size: str,
    names: Mapping[int, str],
    draws: Callable[[Indices, int], Iterable[Indices]],
) -> Fitted:
    """Classifiers on L2-normalised features, for subsets of several sizes.

    Args:
        size: what a size is called in the sweep's rows.
        names: size → what its classifiers are called: their arrays are ``NAME_weights`` and ``NAME_bias``.
        draws: from the labels (0, 1, … of the classes that train has) and a size to rows of train.
    """
    present, labels = np.unique(train.labels, return_inverse=True)
    rows, val_rows = l2_normalized(train.features), l2_normalized(val.features)
    val_labels = np.searchsorted(present, val.labels)
    arrays: dict[str, Floats] = {}
    chosen: dict[str, Any] = {}
    sweep: list[dict[str, Any]] = []
    for of, name in names.items():
        found = choose(rows, labels, draws(labels, of), val_rows, val_labels)
        arrays |= {f"{name}_weights": found.weights, f"{name}_bias": found.bias}
        chosen[name] = found.chosen
        sweep += [{size: of, **row} for row in found.sweep]
    return Fitted(train, seed, arrays, chosen, sweep)


def rights(weights: Floats, bias: Floats, features: Floats, labels: Indices) -> Doubles:
    """0 or 100 for each classifier and sample, float64 [draws, n]; the classifiers are [draws, classes, …]."""
    predicted = [affine(features, w, b).argmax(axis=1) for w, b in zip(weights, bias, strict=True)]
    return np.stack([100.0 * (found == labels) for found in predicted])
