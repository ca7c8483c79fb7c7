"""k-nearest-neighbour probe: how well the features separate the classes, with nothing learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.base import Batchwise, Fitted, Score, Task, TaskMeta
from tasks.scoring.confidence import confidence_metrics
from tasks.scoring.features import l2_normalized
from tasks.scoring.metrics import Doubles, accuracy
from tasks.scoring.neighbours import TEMPERATURE, K, votes
from tasks.scoring.requirements import require_finite, require_fittable, require_judgeable

SWEEP = (1, 5, 10, 20, 50, 100)


PROTOCOL = (
    "Weighted k-NN of Wu et al. 2018 (as in DINO): L2-normalised features, k = 20, votes weighted by "
    "exp(cosine / 0.07), gallery = train. k is pinned; its sweep on val stands beside it. The votes' shares are "
    "the probabilities that calibration is judged by."
)
SETTINGS: Mapping[str, Any] = {"k": K, "temperature": TEMPERATURE, "sweep": list(SWEEP)}
"""Every constant of it."""


class Knn(Task):
    """Weighted vote of the nearest training images."""

    meta = TaskMeta("knn", 2, "accuracy", PROTOCOL, SETTINGS)

    def fit(self, train: Batchwise, val: Batchwise, seed: int) -> Fitted:
        require_fittable(train.labelled, val.labelled)
        require_finite(self.meta.outputs, train=train, val=val)
        ks = sorted({min(value, len(train)) for value in SWEEP})
        sweep = [
            {"k": k, "val_accuracy": accuracy(given.argmax(axis=1), val.labels)[0][0].value}
            for k, given in zip(ks, _vote(train, val, ks), strict=True)
        ]
        chosen: dict[str, Any] = {"k": min(K, len(train)), "temperature": TEMPERATURE}
        if len(train) < K:
            chosen["note"] = f"k = {K} was asked; the gallery has {len(train)} images"
        return Fitted(train, seed, chosen=chosen, sweep=sweep)

    def judge(self, fitted: Fitted, test: Batchwise) -> Score:
        require_judgeable(fitted.train.labelled, test.labelled)
        require_finite(self.meta.outputs, test=test)
        [given] = _vote(fitted.train, test, [fitted.chosen["k"]])
        metrics, per_sample = accuracy(given.argmax(axis=1), test.labels)
        metrics += confidence_metrics(given / given.sum(axis=1, keepdims=True), test.labels, fitted.seed)
        return Score(metrics, per_sample)


def _vote(gallery: Batchwise, queries: Batchwise, ks: list[int]) -> list[Doubles]:
    rows, asked = l2_normalized(gallery.features), l2_normalized(queries.features)
    return votes(rows, gallery.labels, asked, ks, len(gallery.classes))
