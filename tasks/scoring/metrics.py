"""Numbers that a scorer reports, each with its standard error. Accuracies are in percent."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from export.spec import Metric

Doubles = npt.NDArray[np.float64]


def mean_metric(name: str, per_sample: Doubles, unit: str = "%", *, higher_is_better: bool = True) -> Metric:
    """The mean of per-sample values [n]; standard error s/√n (for right-or-wrong values the binomial one)."""
    n = len(per_sample)
    spread = float(per_sample.std(ddof=1)) if n > 1 else 0.0
    return Metric(name, float(per_sample.mean()), unit, higher_is_better, n, spread / math.sqrt(n))


def crossed_mean(name: str, values: Doubles, note: str) -> Metric:
    """The mean of values [draws, n] in percent, with a cautious standard error.

    Draws and samples are crossed: the variance of the mean is at most that of the draws' means over their number plus
    that of the samples' means over theirs.
    """
    by_draw, by_sample = values.mean(axis=1), values.mean(axis=0)
    variance = sum(float(means.var(ddof=1)) / len(means) for means in (by_draw, by_sample) if len(means) > 1)
    return Metric.gain(name, float(values.mean()), "%", len(by_sample), math.sqrt(variance), note)


def accuracy(predicted: npt.NDArray[np.int64], labels: npt.NDArray[np.int64]) -> tuple[list[Metric], Doubles]:
    """Accuracy and balanced accuracy in percent, and each sample's 0 or 100.

    Balanced accuracy is the mean of the recalls r_c of the classes that occur in ``labels``; its standard error is
    √(Σ r_c (1 − r_c) / n_c) / classes, the binomial one of independent recalls.
    """
    right = (predicted == labels).astype(np.float64)
    counts = np.bincount(labels)
    seen = counts > 0
    recalls = np.bincount(labels, weights=right)[seen] / counts[seen]
    error = math.sqrt(float((recalls * (1 - recalls) / counts[seen]).sum())) / len(recalls)
    balanced = Metric.gain("balanced_accuracy", 100 * float(recalls.mean()), "%", len(labels), 100 * error)
    per_sample = 100 * right
    return [mean_metric("accuracy", per_sample), balanced], per_sample


def softmax(logits: npt.NDArray[np.float32]) -> Doubles:
    """Probabilities, float64 [n, classes], of logits [n, classes]."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def log_loss(logits: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> Doubles:
    """−log softmax(logits)[label] of each sample, in nats, float64 [n], for logits [n, classes]."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    total = np.log(np.exp(shifted).sum(axis=1))
    return np.asarray(total - shifted[np.arange(len(labels)), labels])
