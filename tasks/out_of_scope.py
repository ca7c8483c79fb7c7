"""Out of scope: does a probe notice an image that belongs to none of the classes it was fitted on?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from export.errors import UserError
from export.spec import Metric
from tasks.base import Batchwise, Fitted, Score, Task, TaskMeta
from tasks.data.base import OUTSIDE
from tasks.scoring import linear_classifier
from tasks.scoring.features import Floats, l2_normalized
from tasks.scoring.linear_classifier import FIT
from tasks.scoring.metrics import Doubles, softmax
from tasks.scoring.neighbours import kth_similarity
from tasks.scoring.requirements import require_finite, require_judgeable
from tasks.scoring.separation import PASSING, auroc, false_positive_rate

K = 10
"""Of Sun et al. with a hundredth of ImageNet, about the number of images that one's own class has to give."""


PROTOCOL = (
    "Test images of the known classes against images of none of them. Scores: k-NN, the cosine to the "
    "10th nearest training image (Sun et al. 2022); of the linear probe, fitted and chosen as the task of that "
    "name does, the largest probability (MSP, Hendrycks and Gimpel 2017) and the energy, log Σ exp of the logits "
    "(Liu et al. 2020). AUROC with ties as half, standard error after DeLong; FPR95, the share of images out of "
    "scope that pass where 95 % of those in scope do, standard error by the bootstrap. No image out of scope is "
    "seen before the score."
)
SETTINGS: Mapping[str, Any] = {"k": K, "passing": PASSING, "linear": FIT.settings}
"""Every constant of it."""


class OutOfScope(Task):
    """Three scores of "in scope", on test images of the known classes and on images of others."""

    meta = TaskMeta("out_of_scope", 1, "knn_AUROC", PROTOCOL, SETTINGS, scope="open", fit=FIT)

    def fit(self, train: Batchwise, val: Batchwise, seed: int) -> Fitted:
        return linear_classifier.fit(train, val, seed)

    def judge(self, fitted: Fitted, test: Batchwise) -> Score:
        if test.classes[-1] != OUTSIDE:
            raise UserError(
                "The data set has no out-of-scope images.",
                "All its test images are of known classes.",
                "bob run --tasks out_of_scope --out-of-scope SET",
            )
        belongs = test.labels != len(test.classes) - 1
        if belongs.all():
            raise UserError("The test split has no out-of-scope images.", "", "another set after --out-of-scope")
        require_judgeable(fitted.train.labelled, replace(test.labelled, values=test.labels[belongs]))
        require_finite(self.meta.outputs, test=test)
        gallery, queries = l2_normalized(fitted.train.features), l2_normalized(test.features)
        k = min(K, len(gallery))
        logits = linear_classifier.logits(fitted, test)
        scores = {
            "knn": kth_similarity(gallery, queries, k).astype(np.float64),
            "linear_msp": softmax(logits).max(axis=1),
            "linear_energy": energy(logits),
        }
        notes = {"knn": f"k = {K} was asked; the gallery has {k} images"} if k < K else {}
        metrics: list[Metric] = []
        parts = np.empty(len(belongs))
        for name, found in scores.items():
            inside, outside = found[belongs], found[~belongs]
            area, of_inside, of_outside = auroc(f"{name}_AUROC", inside, outside)
            rate = false_positive_rate(f"{name}_FPR95", inside, outside, fitted.seed)
            metrics += [replace(metric, note=notes.get(name, "")) for metric in (area, rate)]
            if area.name == self.meta.main_metric:
                parts[belongs], parts[~belongs] = of_inside, of_outside
        return Score(metrics, parts)


def energy(logits: Floats) -> Doubles:
    """log Σ_c exp(logit_c) of each row, float64 [n], for logits [n, classes].

    The penalty fixes the constant that may be added to all logits: weights add up to zero over the classes where it
    is least, and the biases are centred.
    """
    top = logits.max(axis=1).astype(np.float64)
    return np.asarray(top + np.log(np.exp(logits - top[:, None]).sum(axis=1)))
