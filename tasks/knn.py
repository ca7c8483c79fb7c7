"""k-nearest-neighbour probe: how well the geometry of the features, with nothing learned, tells the classes apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.base import FeatureSet, Score, Splits, Task, TaskMeta
from tasks.calibration import confidence_metrics
from tasks.features import Floats, l2_normalized, require_finite, require_scorable
from tasks.metrics import Doubles, accuracy

K = 20
TEMPERATURE = 0.07
SWEEP = (1, 5, 10, 20, 50, 100)
BLOCK = 1 << 24
"""Similarities held at once (64 MiB of float32)."""


class Knn(Task):
    """Weighted vote of the nearest training images."""

    meta = TaskMeta(
        name="knn",
        version=2,
        main_metric="accuracy",
        unit="%",
        higher_is_better=True,
        protocol="Weighted k-NN of Wu et al. 2018 (as in DINO): L2-normalised features, k = 20, votes weighted by "
        "exp(cosine / 0.07), gallery = train. k is pinned; its sweep on val stands beside it. The votes' shares are "
        "the probabilities that calibration is judged by.",
        settings={"k": K, "temperature": TEMPERATURE, "sweep": list(SWEEP)},
    )

    def check(self, splits: Splits) -> None:
        require_scorable(splits)

    def score(self, splits: Splits, seed: int) -> Score:
        require_finite(splits)
        gallery, classes = l2_normalized(splits.train.features), len(splits.train.classes)
        k = min(K, len(gallery))

        def vote(part: FeatureSet, ks: list[int]) -> list[Doubles]:
            return votes(gallery, splits.train.labels, l2_normalized(part.features), ks, classes)

        ks = sorted({min(value, len(gallery)) for value in SWEEP})
        sweep: list[dict[str, Any]] = [
            {"k": value, "val_accuracy": accuracy(given.argmax(axis=1), splits.val.labels)[0][0].value}
            for value, given in zip(ks, vote(splits.val, ks), strict=True)
        ]
        [given] = vote(splits.test, [k])
        metrics, per_sample = accuracy(given.argmax(axis=1), splits.test.labels)
        metrics += confidence_metrics(given / given.sum(axis=1, keepdims=True), splits.test.labels, seed)
        chosen: dict[str, Any] = {"k": k, "temperature": TEMPERATURE}
        if k < K:
            chosen["note"] = f"k = {K} was asked; the gallery has {k} images"
        return Score(metrics, per_sample, chosen, sweep)


def predict(
    gallery: Floats, labels: npt.NDArray[np.int64], queries: Floats, ks: list[int], classes: int
) -> list[npt.NDArray[np.int64]]:
    """Predicted classes, one int64 [n] for each of ``ks``; the arguments are those of :func:`votes`."""
    return [given.argmax(axis=1) for given in votes(gallery, labels, queries, ks, classes)]


def votes(
    gallery: Floats, labels: npt.NDArray[np.int64], queries: Floats, ks: list[int], classes: int
) -> list[Doubles]:
    """The weight of each class's votes, one float64 [n, classes] for each of ``ks``; no row is all zero.

    Args:
        gallery, queries: L2-normalised rows, float32 [m, d] and [n, d].
        labels: int64 [m].
        ks: each at most m.
    """
    deepest, found = max(ks), [np.empty((len(queries), classes)) for _ in ks]
    rows = max(1, BLOCK // len(gallery))
    for start in range(0, len(queries), rows):
        similarity = queries[start : start + rows] @ gallery.T
        near = np.argpartition(-similarity, deepest - 1, axis=1)[:, :deepest]
        close = np.take_along_axis(similarity, near, axis=1)
        order = np.argsort(-close, axis=1, kind="stable")
        near, close = np.take_along_axis(near, order, axis=1), np.take_along_axis(close, order, axis=1)
        weights = np.exp(close.astype(np.float64) / TEMPERATURE)
        cells = np.arange(len(near))[:, None] * classes + labels[near]
        for out, k in zip(found, ks, strict=True):
            cast = np.bincount(cells[:, :k].ravel(), weights[:, :k].ravel(), len(near) * classes)
            out[start : start + len(near)] = cast.reshape(-1, classes)
    return found
