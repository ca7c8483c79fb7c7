"""Linear probe: the accuracy of the best linear classifier on frozen features, its penalty chosen on val."""

from __future__ import annotations

from tasks.base import Batchwise, Fitted, Score, Task, TaskMeta
from tasks.scoring import linear_classifier
from tasks.scoring.confidence import confidence_metrics
from tasks.scoring.linear_classifier import FIT, columns
from tasks.scoring.metrics import accuracy, softmax
from tasks.scoring.requirements import require_finite, require_judgeable

PROTOCOL = (
    "Multinomial logistic regression by L-BFGS on features standardised with train's mean and deviation; "
    "objective mean log-loss + λ/2 ‖W‖², 20 values of λ from 100 to 1e-5, λ chosen by accuracy on val (then by "
    "log-loss); fitted on train only."
)


class LinearProbe(Task):
    """Multinomial logistic regression on standardised features."""

    meta = TaskMeta("linear_probe", 2, "accuracy", PROTOCOL, FIT.settings, fit=FIT)

    def fit(self, train: Batchwise, val: Batchwise, seed: int) -> Fitted:
        return linear_classifier.fit(train, val, seed)

    def judge(self, fitted: Fitted, test: Batchwise) -> Score:
        require_judgeable(fitted.train.labelled, test.labelled)
        require_finite(self.meta.outputs, test=test)
        logits, labels = linear_classifier.logits(fitted, test), columns(fitted.arrays["present"], test)
        metrics, per_sample = accuracy(logits.argmax(axis=1), labels)
        metrics += confidence_metrics(softmax(logits), labels, fitted.seed)
        return Score(metrics, per_sample)
