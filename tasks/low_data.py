"""Low data: what the features are worth when few images are labelled, or only a few classes are at stake."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from export.errors import UserError
from export.spec import Metric
from tasks.base import Batchwise, Fitted, Score, Task, TaskMeta
from tasks.scoring.drawn_classifiers import PENALTIES, fit_on_draws, rights
from tasks.scoring.features import Floats, Indices, l2_normalized
from tasks.scoring.metrics import crossed_mean
from tasks.scoring.neighbours import K, predict
from tasks.scoring.requirements import require_finite, require_fittable, require_judgeable

PERCENTS = (1, 2, 5, 10, 20)
MAIN_PERCENT = 10
DRAWS = 5
SUBSETS = (2, 5, 10)
SUBSET_DRAWS = 20


PROTOCOL = (
    "Learning curve: 1, 2, 5, 10 and 20 % of every class of train, 5 seeded draws; multinomial logistic "
    "regression on L2-normalised features, λ chosen by accuracy on val over all draws; accuracy on all of test. "
    "Few classes: k-NN (as the task knn) among 2, 5 and 10 classes, mean over 20 seeded draws of classes."
)
SETTINGS: Mapping[str, Any] = {
    "percents": list(PERCENTS),
    "draws": DRAWS,
    "penalties": list(PENALTIES),
    "subsets": list(SUBSETS),
    "subset_draws": SUBSET_DRAWS,
}
"""Every constant of it."""


class LowData(Task):
    """A logistic classifier on parts of train, and k-NN within few classes."""

    meta = TaskMeta("low_data", 1, f"accuracy_{MAIN_PERCENT}_percent", PROTOCOL, SETTINGS)

    def fit(self, train: Batchwise, val: Batchwise, seed: int) -> Fitted:
        require_fittable(train.labelled, val.labelled)
        least, smallest = train.smallest_class()
        if _share(least, MAIN_PERCENT) < 1:
            raise UserError(
                f"{MAIN_PERCENT} % of the {least} training images of {smallest!r} is less than one image.",
                "The task needs at least one training image of each class.",
                "add images to the class, or leave out the task low_data",
            )
        require_finite(self.meta.outputs, train=train, val=val)
        names = {percent: f"accuracy_{percent}_percent" for percent in PERCENTS if _share(least, percent) >= 1}

        def parts(labels: Indices, percent: int) -> list[Indices]:
            return [_part(labels, percent, seed, draw) for draw in range(DRAWS)]

        return fit_on_draws(train, val, seed, "percent", names, parts)

    def judge(self, fitted: Fitted, test: Batchwise) -> Score:
        train = fitted.train
        require_judgeable(train.labelled, test.labelled)
        require_finite(self.meta.outputs, test=test)
        present, labels = np.unique(train.labels, return_inverse=True)
        gallery, queries = l2_normalized(train.features), l2_normalized(test.features)
        test_labels = np.searchsorted(present, test.labels)
        least, smallest = train.smallest_class()
        metrics: dict[str, Metric] = {}
        per_sample, per_draw = np.empty(0), np.empty(0)
        for percent in PERCENTS:
            name = f"accuracy_{percent}_percent"
            if _share(least, percent) < 1:
                metrics[name] = Metric.gain(name, None, "%", note=f"class {smallest!r} has {least} training images")
                continue
            right = rights(fitted.arrays[f"{name}_weights"], fitted.arrays[f"{name}_bias"], queries, test_labels)
            images = sum(_share(count, percent) for count in np.bincount(labels).tolist())
            metrics[name] = crossed_mean(name, right, f"{images} images, mean of {DRAWS} draws")
            if percent == MAIN_PERCENT:
                per_sample, per_draw = right.mean(axis=0), right.mean(axis=1)
        for size in SUBSETS:
            metrics[f"knn_{size}_classes"] = _among_few(gallery, labels, queries, test_labels, size, fitted.seed)
        main = metrics.pop(self.meta.main_metric)
        return Score([main, *metrics.values()], per_sample, per_draw)


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
