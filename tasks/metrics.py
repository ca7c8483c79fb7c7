"""Numbers that a scorer reports, each with its standard error. Percent throughout."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from export.spec import Metric


def mean_metric(name: str, per_sample: npt.NDArray[np.float64], note: str = "") -> Metric:
    """The mean of per-sample percentages [n]; standard error s/√n (for right-or-wrong values the binomial one)."""
    n = len(per_sample)
    spread = float(per_sample.std(ddof=1)) if n > 1 else 0.0
    return Metric(name, float(per_sample.mean()), "%", True, n, spread / math.sqrt(n), note)


def accuracy(
    predicted: npt.NDArray[np.int64], labels: npt.NDArray[np.int64]
) -> tuple[list[Metric], npt.NDArray[np.float64]]:
    """Accuracy and balanced accuracy in percent, and each sample's 0 or 100.

    Balanced accuracy is the mean of the recalls r_c of the classes that occur in ``labels``; its standard error is
    √(Σ r_c (1 − r_c) / n_c) / classes, the binomial one of independent recalls.
    """
    right = (predicted == labels).astype(np.float64)
    counts = np.bincount(labels)
    seen = counts > 0
    recalls = np.bincount(labels, weights=right)[seen] / counts[seen]
    error = math.sqrt(float((recalls * (1 - recalls) / counts[seen]).sum())) / len(recalls)
    balanced = Metric("balanced_accuracy", 100 * float(recalls.mean()), "%", True, len(labels), 100 * error)
    per_sample = 100 * right
    return [mean_metric("accuracy", per_sample), balanced], per_sample
