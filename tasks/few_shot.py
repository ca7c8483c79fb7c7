"""Few-shot: what the features are worth when there are one, five or ten labelled images of each class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from export.errors import UserError
from export.spec import Metric
from tasks.base import Batchwise, Fitted, Rows, Score, Task, TaskMeta
from tasks.scoring.drawn_classifiers import PENALTIES, fit_on_draws, rights
from tasks.scoring.features import Floats, Indices, l2_normalized
from tasks.scoring.metrics import Doubles, crossed_mean
from tasks.scoring.requirements import require_finite, require_fittable, require_judgeable

SHOTS = (1, 5, 10)
MAIN_SHOTS = 5
CENTROID_DRAWS = 100
LOGISTIC_DRAWS = 10


PROTOCOL = (
    "k images of each class drawn from train; accuracy on all of test, mean over seeded draws. Nearest "
    "centroid: features L2-normalised, centred on the support's mean, cosine (Wang et al. 2019 with the support in "
    "place of base classes; 100 draws). Logistic: L2-normalised features, λ chosen by accuracy on val over all "
    "draws (10 draws). Standard error over draws and test samples, added in squares."
)
SETTINGS: Mapping[str, Any] = {
    "shots": list(SHOTS),
    "centroid_draws": CENTROID_DRAWS,
    "logistic_draws": LOGISTIC_DRAWS,
    "penalties": list(PENALTIES),
}
"""Every constant of it."""


class FewShot(Task):
    """Nearest centroid and logistic regression on k training images of each class, over seeded draws."""

    meta = TaskMeta("few_shot", 1, "centroid_5_shot", PROTOCOL, SETTINGS)

    def fit(self, train: Batchwise, val: Batchwise, seed: int) -> Fitted:
        require_fittable(train.labelled, val.labelled)
        least, name = train.smallest_class()
        if least < MAIN_SHOTS:
            raise UserError(
                f"{MAIN_SHOTS}-shot needs {MAIN_SHOTS} training images of each class; {name!r} has {least}.",
                "Each class needs as many training images as shots.",
                "add images to the class, or leave out the task few_shot",
            )
        require_finite(self.meta.outputs, train=train, val=val)
        names = {shots: f"logistic_{shots}_shot" for shots in SHOTS if shots <= least}
        return fit_on_draws(
            train, val, seed, "shots", names, lambda labels, shots: draws(labels, shots, LOGISTIC_DRAWS, seed)
        )

    def judge(self, fitted: Fitted, test: Batchwise) -> Score:
        train = fitted.train
        require_judgeable(train.labelled, test.labelled)
        require_finite(self.meta.outputs, test=test)
        present, labels = np.unique(train.labels, return_inverse=True)
        queries, test_labels = l2_normalized(test.features), np.searchsorted(present, test.labels)
        least, smallest = train.smallest_class()
        metrics: dict[str, Metric] = {}
        per_sample, per_draw = np.empty(0), np.empty(0)
        for shots in SHOTS:
            centroid, logistic = (f"{method}_{shots}_shot" for method in ("centroid", "logistic"))
            if shots > least:
                note = f"class {smallest!r} has {least} training images"
                metrics |= {name: Metric.gain(name, None, "%", note=note) for name in (centroid, logistic)}
                continue
            supports = draws(labels, shots, CENTROID_DRAWS, fitted.seed)
            right = _by_centroids(train.features, labels, supports, queries, test_labels)
            metrics[centroid] = crossed_mean(centroid, right, f"mean of {len(right)} draws")
            if shots == MAIN_SHOTS:
                per_sample, per_draw = right.mean(axis=0), right.mean(axis=1)
            weights, bias = (fitted.arrays[f"{logistic}_{part}"] for part in ("weights", "bias"))
            right = rights(weights, bias, queries, test_labels)
            metrics[logistic] = crossed_mean(logistic, right, f"mean of {len(right)} draws")
        main = metrics.pop(self.meta.main_metric)
        return Score([main, *metrics.values()], per_sample, per_draw)


def draws(labels: Indices, shots: int, count: int, seed: int) -> Iterator[Indices]:
    """``count`` supports: indices into ``labels`` of ``shots`` different samples of every class."""
    members = [np.flatnonzero(labels == label) for label in range(int(labels.max()) + 1)]
    for draw in range(count):
        generator = np.random.default_rng([seed, shots, draw])
        yield np.concatenate([generator.choice(part, shots, replace=False) for part in members])


def nearest_centroid(support: Floats, labels: Indices, classes: int, queries: Floats) -> Indices:
    """The class, int64 [n], whose centroid has the highest cosine with each query.

    Support [m, d] and queries [n, d] are L2-normalised; both are centred on the support's mean. A query's own length
    does not change which cosine is highest, so it is left out.
    """
    centre = support.mean(axis=0)
    members = labels[:, None] == np.arange(classes)
    centroids = members.T.astype(np.float32) @ l2_normalized(support - centre)
    directions = l2_normalized(centroids)
    return np.asarray((queries @ directions.T - centre @ directions.T).argmax(axis=1), np.int64)


def _by_centroids(
    features: Rows, labels: Indices, supports: Iterator[Indices], queries: Floats, query_labels: Indices
) -> Doubles:
    """0 or 100 for each support and query, float64 [draws, n]."""
    classes, right = int(labels.max()) + 1, []
    for support in supports:
        predicted = nearest_centroid(l2_normalized(features[support]), labels[support], classes, queries)
        right.append(100.0 * (predicted == query_labels))
    return np.stack(right)
