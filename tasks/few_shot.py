"""Few-shot: what the features are worth when there are one, five or ten labelled images of each class."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from export.errors import UserError
from export.spec import Metric
from tasks.base import Score, Splits, Task, TaskMeta
from tasks.scoring.features import Floats, l2_normalized, require_finite, require_scorable
from tasks.scoring.metrics import crossed_mean
from tasks.scoring.softmax_regression import fit, rights

SHOTS = (1, 5, 10)
MAIN_SHOTS = 5
CENTROID_DRAWS = 100
LOGISTIC_DRAWS = 10
PENALTIES = tuple(float(value) for value in np.logspace(0, -5, 6))

Indices = npt.NDArray[np.int64]
Rights = npt.NDArray[np.float64]


class FewShot(Task):
    """Nearest centroid and logistic regression on seeded draws of k training images of each class."""

    meta = TaskMeta(
        name="few_shot",
        version=1,
        main_metric="centroid_5_shot",
        unit="%",
        higher_is_better=True,
        protocol="k images of each class drawn from train; accuracy on all of test, mean over seeded draws. Nearest "
        "centroid: features L2-normalised, centred on the support's mean, cosine (Wang et al. 2019 with the support in "
        "place of base classes; 100 draws). Logistic: L2-normalised features, λ chosen by accuracy on val over all "
        "draws (10 draws). Standard error over draws and test samples, added in squares.",
        settings={
            "shots": list(SHOTS),
            "centroid_draws": CENTROID_DRAWS,
            "logistic_draws": LOGISTIC_DRAWS,
            "penalties": list(PENALTIES),
        },
    )

    def check(self, splits: Splits) -> None:
        require_scorable(splits)
        least, name = splits.train.smallest_class()
        if least < MAIN_SHOTS:
            raise UserError(
                f"{MAIN_SHOTS}-shot needs {MAIN_SHOTS} training images of each class; {name!r} has {least}.",
                "There are fewer images than shots.",
                "add images to the class, or leave out the task few_shot",
            )

    def score(self, splits: Splits, seed: int) -> Score:
        require_finite(splits)
        present, labels = np.unique(splits.train.labels, return_inverse=True)
        val_labels, test_labels = (np.searchsorted(present, part.labels) for part in (splits.val, splits.test))
        train, val, test = (l2_normalized(part.features) for part in (splits.train, splits.val, splits.test))
        least, smallest = splits.train.smallest_class()
        metrics: dict[str, Metric] = {}
        per_sample, per_draw = np.empty(0), np.empty(0)
        chosen: dict[str, Any] = {}
        sweep: list[dict[str, Any]] = []
        for shots in SHOTS:
            if shots > least:
                note = f"class {smallest!r} has {least} training images"
                for method in ("centroid", "logistic"):
                    name = f"{method}_{shots}_shot"
                    metrics[name] = Metric.gain(name, None, "%", note=note)
                continue
            right = _right(
                lambda support: nearest_centroid(train[support], labels[support], len(present), test),
                draws(labels, shots, CENTROID_DRAWS, seed),
                test_labels,
            )
            metrics[f"centroid_{shots}_shot"] = crossed_mean(
                f"centroid_{shots}_shot", right, f"mean of {len(right)} draws"
            )
            if shots == MAIN_SHOTS:
                per_sample, per_draw = right.mean(axis=0), right.mean(axis=1)

            fits = [
                fit(train[support], labels[support], len(present), PENALTIES)
                for support in draws(labels, shots, LOGISTIC_DRAWS, seed)
            ]
            on_val = [
                float(rights([solutions[i] for solutions in fits], val, val_labels).mean())
                for i in range(len(PENALTIES))
            ]
            best = int(np.argmax(on_val))
            for i, penalty in enumerate(PENALTIES):
                converged = all(solutions[i].converged for solutions in fits)
                sweep.append({"shots": shots, "penalty": penalty, "val_accuracy": on_val[i], "converged": converged})
            chosen[f"logistic_{shots}_shot"] = {"penalty": PENALTIES[best], "val_accuracy": on_val[best]}
            right = rights([solutions[best] for solutions in fits], test, test_labels)
            metrics[f"logistic_{shots}_shot"] = crossed_mean(
                f"logistic_{shots}_shot", right, f"mean of {len(right)} draws"
            )
        main = metrics.pop(self.meta.main_metric)
        return Score([main, *metrics.values()], per_sample, chosen, sweep, per_draw)


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


def _right(predict: Callable[[Indices], Indices], supports: Iterator[Indices], labels: Indices) -> Rights:
    """0 or 100 for each draw and test sample, float64 [draws, n]."""
    return np.stack([100.0 * (predict(support) == labels) for support in supports])
