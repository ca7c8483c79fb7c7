"""Linear probe: the accuracy of the best linear classifier on frozen features, its penalty chosen on val."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.base import Score, Splits, Task, TaskMeta
from tasks.calibration import confidence_metrics
from tasks.features import Floats, require_finite, require_scorable
from tasks.metrics import accuracy, log_loss, softmax
from tasks.softmax_regression import ITERATIONS, TOLERANCE, fit

PENALTIES = tuple(float(value) for value in np.logspace(2, -5, 20))


class LinearProbe(Task):
    """Multinomial logistic regression on standardised features."""

    meta = TaskMeta(
        name="linear_probe",
        version=2,
        main_metric="accuracy",
        unit="%",
        higher_is_better=True,
        protocol="Multinomial logistic regression by L-BFGS on features standardised with train's mean and deviation; "
        "objective mean log-loss + λ/2 ‖W‖², 20 values of λ from 100 to 1e-5, λ chosen by accuracy on val (then by "
        "log-loss); fitted on train only.",
        settings={"penalties": list(PENALTIES), "tolerance": TOLERANCE, "iterations": ITERATIONS, "fitted_on": "train"},
    )

    def check(self, splits: Splits) -> None:
        require_scorable(splits)

    def score(self, splits: Splits, seed: int) -> Score:
        require_finite(splits)
        train, val, test = standardized(splits.train.features, splits.val.features, splits.test.features)
        present, labels = np.unique(splits.train.labels, return_inverse=True)
        val_labels, test_labels = (np.searchsorted(present, part.labels) for part in (splits.val, splits.test))
        solutions = fit(train, labels, len(present), PENALTIES)
        sweep: list[dict[str, Any]] = []
        for solution in solutions:
            logits = solution.logits(val)
            sweep.append(
                {
                    "penalty": solution.penalty,
                    "val_accuracy": accuracy(logits.argmax(axis=1), val_labels)[0][0].value,
                    "val_log_loss": float(log_loss(logits, val_labels).mean()),
                    "gradient_norm": solution.gradient_norm,
                    "iterations": solution.iterations,
                    "converged": solution.converged,
                }
            )
        best = min(range(len(sweep)), key=lambda i: (-sweep[i]["val_accuracy"], sweep[i]["val_log_loss"]))
        logits = solutions[best].logits(test)
        metrics, per_sample = accuracy(logits.argmax(axis=1), test_labels)
        metrics += confidence_metrics(softmax(logits), test_labels, seed)
        chosen = {name: sweep[best][name] for name in ("penalty", "val_accuracy", "val_log_loss", "converged")}
        if best in (0, len(sweep) - 1):
            chosen["note"] = "the best penalty lies at the edge of the sweep: a better one may lie beyond"
        return Score(metrics, per_sample, chosen, sweep)


def standardized(train: Floats, *others: Floats) -> list[Floats]:
    """All parts with train's mean taken away and divided by train's deviation; constant features become zero."""
    mean = train.mean(axis=0, dtype=np.float64)
    deviation = train.std(axis=0, dtype=np.float64)
    constant = deviation <= 1e-6 * np.abs(mean)
    scale: npt.NDArray[np.float64] = np.where(constant, 0, 1 / np.where(constant, 1, deviation))
    return [((part - mean) * scale).astype(np.float32) for part in (train, *others)]
