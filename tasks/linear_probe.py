"""Linear probe: the accuracy of the best linear classifier on frozen features, its penalty chosen on val."""

from __future__ import annotations

from tasks.base import Score, Splits, Task, TaskMeta
from tasks.scoring.confidence import confidence_metrics
from tasks.scoring.features import require_finite, require_scorable
from tasks.scoring.linear_classifier import SETTINGS, choose, within
from tasks.scoring.metrics import accuracy, softmax


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
        settings=SETTINGS,
    )

    def check(self, splits: Splits) -> None:
        require_scorable(splits)

    def score(self, splits: Splits, seed: int) -> Score:
        require_finite(splits)
        found = choose(splits)
        labels = within(found.present, splits.test)
        metrics, per_sample = accuracy(found.logits.argmax(axis=1), labels)
        metrics += confidence_metrics(softmax(found.logits), labels, seed)
        return Score(metrics, per_sample, found.chosen, found.sweep)
