"""Out of scope: does a probe notice an image that belongs to none of the classes it was fitted on?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from export.errors import UserError
from export.spec import Metric
from tasks.base import FeatureSet, Score, Splits, Task, TaskMeta
from tasks.data.base import OUTSIDE
from tasks.scoring.features import Floats, l2_normalized, require_finite, require_scorable
from tasks.scoring.linear_classifier import SETTINGS, choose
from tasks.scoring.metrics import Doubles, softmax
from tasks.scoring.neighbours import kth_similarity
from tasks.scoring.separation import PASSING, auroc, false_positive_rate

K = 10
"""Of Sun et al. with a hundredth of ImageNet, about the number of images that one's own class has to give."""


class OutOfScope(Task):
    """Three scores of "in scope", on test images of the known classes and on images of others."""

    meta = TaskMeta(
        name="out_of_scope",
        version=1,
        main_metric="knn_AUROC",
        unit="%",
        higher_is_better=True,
        protocol="Test images of the known classes against images of none of them. Scores: k-NN, the cosine to the "
        "10th nearest training image (Sun et al. 2022); of the linear probe, fitted and chosen as the task of that "
        "name does, the largest probability (MSP, Hendrycks and Gimpel 2017) and the energy, log Σ exp of the logits "
        "(Liu et al. 2020). AUROC with ties as half, standard error after DeLong; FPR95, the share of images out of "
        "scope that pass where 95 % of those in scope do, standard error by the bootstrap. No image out of scope is "
        "seen before the score.",
        settings={"k": K, "passing": PASSING, "linear": SETTINGS},
        scope="open",
    )

    def check(self, splits: Splits) -> None:
        if splits.test.classes[-1] != OUTSIDE:
            raise UserError(
                "The data set has no images out of scope.",
                "All its test images are of classes that it is fitted on.",
                "python -m bench.run --tasks out_of_scope --out-of-scope SET",
            )
        belongs = _belongs(splits)
        if belongs.all():
            raise UserError("The test split has no images out of scope.", "", "another set after --out-of-scope")
        require_scorable(replace(splits, test=_part(splits.test, belongs)))

    def score(self, splits: Splits, seed: int) -> Score:
        require_finite(splits)
        belongs = _belongs(splits)
        gallery, k = l2_normalized(splits.train.features), min(K, len(splits.train))
        linear = choose(splits)
        scores = {
            "knn": kth_similarity(gallery, l2_normalized(splits.test.features), k).astype(np.float64),
            "linear_msp": softmax(linear.logits).max(axis=1),
            "linear_energy": energy(linear.logits),
        }
        metrics: list[Metric] = []
        parts = np.empty(len(belongs))
        for name, found in scores.items():
            inside, outside = found[belongs], found[~belongs]
            area, of_inside, of_outside = auroc(f"{name}_AUROC", inside, outside)
            metrics += [area, false_positive_rate(f"{name}_FPR95", inside, outside, seed)]
            if area.name == self.meta.main_metric:
                parts[belongs], parts[~belongs] = of_inside, of_outside
        chosen: dict[str, Any] = {"k": k, "linear": dict(linear.chosen)}
        if k < K:
            chosen["note"] = f"k = {K} was asked; the gallery has {k} images"
        return Score(metrics, parts, chosen, linear.sweep)


def energy(logits: Floats) -> Doubles:
    """log Σ_c exp(logit_c) of each row, float64 [n], for logits [n, classes].

    Logits are told apart from logits plus a constant by the penalty: weights add up to zero over the classes where it
    is least, and the biases are centred.
    """
    top = logits.max(axis=1).astype(np.float64)
    return np.asarray(top + np.log(np.exp(logits - top[:, None]).sum(axis=1)))


def _belongs(splits: Splits) -> npt.NDArray[np.bool_]:
    return np.asarray(splits.test.labels != len(splits.test.classes) - 1)


def _part(of: FeatureSet, rows: npt.NDArray[np.bool_]) -> FeatureSet:
    return replace(of, features=of.features[rows], labels=of.labels[rows])
