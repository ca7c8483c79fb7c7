"""Whether a probe knows when it is wrong: calibration and selective prediction from its class probabilities.

Every probe that gives probabilities adds these to its metrics; none of them is a main metric. ECE and accuracies are in
percent.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from export.spec import Metric
from tasks.scoring.metrics import Doubles, mean_metric
from tasks.scoring.resampling import bootstrap_weights

BINS = 15
COVERAGES = (50, 80, 90)
"""Percent of the test images that the probe answers, the ones it is surest of."""


def confidence_metrics(probabilities: Doubles, labels: npt.NDArray[np.int64], seed: int) -> list[Metric]:
    """ECE, Brier score, log-loss, and accuracy at coverage.

    Args:
        probabilities: float64 [n, classes], rows that add up to 1. labels: int64 [n]. seed: of ECE's bootstrap.

    Returns:
        ``ECE`` (Guo et al. 2017: 15 bins of equal width, |accuracy − confidence| weighted by their share);
        ``Brier`` (Brier 1950: mean of Σ_c (p_c − y_c)², from 0 to 2); ``log_loss`` in nats, without a value where a
        right class was given no probability; ``accuracy_at_K_coverage``: of the K % most confident test images.
    """
    confidence, predicted = probabilities.max(axis=1), probabilities.argmax(axis=1)
    right = (predicted == labels).astype(np.float64)
    of_label = probabilities[np.arange(len(labels)), labels]
    brier = (probabilities**2).sum(axis=1) - 2 * of_label + 1
    found = [expected_calibration_error(confidence, right, seed)]
    found.append(mean_metric("Brier", brier, "", higher_is_better=False))
    if (of_label > 0).all():
        found.append(mean_metric("log_loss", -np.log(of_label), "nats", higher_is_better=False))
    else:
        note = f"infinite: {int((of_label <= 0).sum())} test images' own class got no probability"
        found.append(Metric.cost("log_loss", None, "nats", len(labels), None, note))
    return found + [accuracy_at_coverage(confidence, right, coverage) for coverage in COVERAGES]


def expected_calibration_error(confidence: Doubles, right: Doubles, seed: int) -> Metric:
    """ECE in percent, its standard error by the bootstrap over test images; both arguments float64 [n].

    A confidence on the border of two bins belongs to the lower one, as Guo et al. have it; 0 belongs to the first.
    """
    bins = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    gaps = np.zeros((len(right), BINS))
    gaps[np.arange(len(right)), bins] = right - confidence
    drawn = np.concatenate(
        [100 * np.abs(w @ gaps).sum(axis=1) / len(right) for w in bootstrap_weights(len(right), seed)]
    )
    value = 100 * float(np.abs(gaps.sum(axis=0)).sum()) / len(right)
    return Metric.cost("ECE", value, "%", len(right), float(drawn.std(ddof=1)))


def accuracy_at_coverage(confidence: Doubles, right: Doubles, coverage: int) -> Metric:
    """Accuracy in percent of the ``coverage`` percent most confident images, at least one.

    Images that tie at the border count with their mean, so that their order does not matter.
    """
    kept = max(1, math.ceil(len(right) * coverage / 100))
    border = np.sort(confidence)[::-1][kept - 1]
    above, tied = confidence > border, confidence == border
    correct = right[above].sum() + (kept - above.sum()) * right[tied].mean()
    share = float(correct) / kept
    error = 100 * math.sqrt(share * (1 - share) / kept)
    return Metric.gain(f"accuracy_at_{coverage}_coverage", 100 * share, "%", kept, error)
