"""k-nearest-neighbour probe: how well the geometry of the features, with nothing learned, tells the classes apart."""

from __future__ import annotations

from typing import Any

from tasks.base import FeatureSet, Score, Splits, Task, TaskMeta
from tasks.scoring.confidence import confidence_metrics
from tasks.scoring.features import l2_normalized, require_finite, require_scorable
from tasks.scoring.metrics import Doubles, accuracy
from tasks.scoring.neighbours import TEMPERATURE, K, votes

SWEEP = (1, 5, 10, 20, 50, 100)


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
