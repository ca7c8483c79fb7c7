"""Low data: what the features are worth when few images are labelled, or only a few classes are at stake."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from export.errors import UserError
from export.spec import Metric
from tasks.base import Score, Splits, Task, TaskMeta
from tasks.scoring.features import Floats, l2_normalized, require_finite, require_scorable
from tasks.scoring.metrics import crossed_mean
from tasks.scoring.neighbours import K, predict
from tasks.scoring.softmax_regression import fit, rights

PERCENTS = (1, 2, 5, 10, 20)
MAIN_PERCENT = 10
DRAWS = 5
PENALTIES = tuple(float(value) for value in np.logspace(0, -5, 6))
SUBSETS = (2, 5, 10)
SUBSET_DRAWS = 20

Indices = npt.NDArray[np.int64]


class LowData(Task):
    """A logistic classifier on parts of train, and k-NN within few classes."""

    meta = TaskMeta(
        name="low_data",
        version=1,
        main_metric=f"accuracy_{MAIN_PERCENT}_percent",
        unit="%",
        higher_is_better=True,
        protocol="Learning curve: 1, 2, 5, 10 and 20 % of every class of train, 5 seeded draws; multinomial logistic "
        "regression on L2-normalised features, λ chosen by accuracy on val over all draws; accuracy on all of test. "
        "Few classes: k-NN (as the task knn) among 2, 5 and 10 classes, mean over 20 seeded draws of classes.",
        settings={
            "percents": list(PERCENTS),
            "draws": DRAWS,
            "penalties": list(PENALTIES),
            "subsets": list(SUBSETS),
            "subset_draws": SUBSET_DRAWS,
        },
    )

    def check(self, splits: Splits) -> None:
        require_scorable(splits)
        least, name = splits.train.smallest_class()
        if _share(least, MAIN_PERCENT) < 1:
            raise UserError(
                f"{MAIN_PERCENT} % of the {least} training images of {name!r} is no image.",
                "There are fewer images than the protocol asks.",
                "add images to the class, or leave out the task low_data",
            )

    def score(self, splits: Splits, seed: int) -> Score:
        require_finite(splits)
        present, labels = np.unique(splits.train.labels, return_inverse=True)
        val_labels, test_labels = (np.searchsorted(present, part.labels) for part in (splits.val, splits.test))
        train, val, test = (l2_normalized(part.features) for part in (splits.train, splits.val, splits.test))
        least, smallest = splits.train.smallest_class()
        metrics: dict[str, Metric] = {}
        chosen: dict[str, Any] = {}
        sweep: list[dict[str, Any]] = []
        per_sample, per_draw = np.empty(0), np.empty(0)
        for percent in PERCENTS:
            name = f"accuracy_{percent}_percent"
            if _share(least, percent) < 1:
                metrics[name] = Metric.gain(name, None, "%", note=f"class {smallest!r} has {least} training images")
                continue
            parts = [_part(labels, percent, seed, draw) for draw in range(DRAWS)]
            fits = [fit(train[part], labels[part], len(present), PENALTIES) for part in parts]
            on_val = [rights([f[i] for f in fits], val, val_labels).mean() for i in range(len(PENALTIES))]
            best = int(np.argmax(on_val))
            for i, penalty in enumerate(PENALTIES):
                converged = all(f[i].converged for f in fits)
                row = {"percent": percent, "penalty": penalty, "val_accuracy": float(on_val[i]), "converged": converged}
                sweep.append(row)
            chosen[name] = {"penalty": PENALTIES[best], "val_accuracy": float(on_val[best])}
            right = rights([f[best] for f in fits], test, test_labels)
            metrics[name] = crossed_mean(name, right, f"{len(parts[0])} images, mean of {DRAWS} draws")
            if percent == MAIN_PERCENT:
                per_sample, per_draw = right.mean(axis=0), right.mean(axis=1)
        for size in SUBSETS:
            metrics[f"knn_{size}_classes"] = _among_few(train, labels, test, test_labels, size, seed)
        main = metrics.pop(self.meta.main_metric)
        return Score([main, *metrics.values()], per_sample, chosen, sweep, per_draw)


def _share(count: int, percent: int) -> int:
    return round(count * percent / 100)


def _part(labels: Indices, percent: int, seed: int, draw: int) -> Indices:
    """Indices of ``percent`` of every class; a larger part of the same draw holds the smaller ones."""
    generator = np.random.default_rng([seed, draw])
    members = [generator.permutation(np.flatnonzero(labels == label)) for label in range(int(labels.max()) + 1)]
    return np.concatenate([part[: _share(len(part), percent)] for part in members])


def _among_few(
    gallery: Floats, labels: Indices, queries: Floats, query_labels: Indices, size: int, seed: int
) -> Metric:
    name, classes = f"knn_{size}_classes", int(labels.max()) + 1
    if classes <= size:
        return Metric.gain(name, None, "%", note=f"the data set has {classes} classes")
    found = []
    for draw in range(SUBSET_DRAWS):
        few = np.sort(np.random.default_rng([seed, size, draw]).choice(classes, size, replace=False))
        inside, asked = np.isin(labels, few), np.isin(query_labels, few)
        if not asked.any():
            continue
        k = min(K, int(inside.sum()))
        [predicted] = predict(gallery[inside], np.searchsorted(few, labels[inside]), queries[asked], [k], size)
        found.append(100 * float((few[predicted] == query_labels[asked]).mean()))
    if not found:
        return Metric.gain(name, None, "%", note="no draw of classes has a test image")
    error = float(np.std(found, ddof=1)) / math.sqrt(len(found)) if len(found) > 1 else None
    return Metric.gain(name, float(np.mean(found)), "%", len(found), error, f"n counts draws of {size} classes")
