"""How well one score separates two groups of images: AUROC and the false-positive rate at 95 %, with their errors.

Both take the scores of the images that belong (``inside``) and of those that do not (``outside``); higher means surer
that an image belongs. Values are in percent.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from export.spec import Metric
from tasks.scoring.metrics import Doubles
from tasks.scoring.resampling import bootstrap_weights

PASSING = 95
"""Percent of the images that belong which the threshold must let pass."""


def auroc(name: str, inside: Doubles, outside: Doubles) -> tuple[Metric, Doubles, Doubles]:
    """The chance that an image that belongs scores higher than one that does not; a tie counts half.

    The standard error is DeLong's (DeLong et al. 1988): √(s²(v)/m + s²(w)/n), where v is the share of ``outside`` that
    each of the m images of ``inside`` beats, and w the share of ``inside`` by which each of the n of ``outside`` is
    beaten. It is None where a group has one image only.

    Args:
        inside, outside: float64 [m] and [n], at least one each.

    Returns:
        The metric A, and each image's part in it, float64 [m] and [n]: A + N/m · (v − A) and A + N/n · (w − A), with
        N = m + n. A is the mean of v and the mean of w, but of no resample of all N images alike: a part is A plus N
        times what the image adds to A. So the mean of all N parts is A, and that of a resample of the N varies as
        DeLong has it; so does the difference of two cells, when both see the same resample.
    """
    m, n = len(inside), len(outside)
    beats = _share_below(inside, outside)
    beaten = 1 - _share_below(outside, inside)
    value = float(beats.mean())
    error = None
    if min(m, n) > 1:
        error = 100 * math.sqrt(float(beats.var(ddof=1)) / m + float(beaten.var(ddof=1)) / n)
    parts = [100 * (value + (m + n) / len(v) * (v - v.mean())) for v in (beats, beaten)]
    return Metric.gain(name, 100 * value, "%", m + n, error), parts[0], parts[1]


def false_positive_rate(name: str, inside: Doubles, outside: Doubles, seed: int) -> Metric:
    """The share of ``outside`` that scores at least as high as the threshold that lets 95 % of ``inside`` pass.

    The threshold is the highest score of ``inside`` at or above which at least 95 % of ``inside`` lie, as in
    scikit-learn's ``roc_curve``; the standard error is that of a seeded bootstrap over both groups.

    Args:
        inside, outside: float64 [m] and [n], at least one each.
    """
    kept = -(-PASSING * len(inside) // 100)
    falling = np.sort(inside)[::-1]
    passing = len(outside) - np.searchsorted(np.sort(outside), falling, side="left")  # at each score as the threshold
    order = np.argsort(-outside, kind="stable")
    place = np.concatenate([(w.cumsum(axis=1) >= kept).argmax(axis=1) for w in bootstrap_weights(len(inside), seed)])
    shares, start = [], 0
    for w in bootstrap_weights(len(outside), seed + 1):
        total = np.concatenate([np.zeros((len(w), 1)), w[:, order].cumsum(axis=1)], axis=1)
        shares.append(total[np.arange(len(w)), passing[place[start : start + len(w)]]] / len(outside))
        start += len(w)
    error = 100 * float(np.concatenate(shares).std(ddof=1))
    return Metric.cost(name, 100 * float(passing[kept - 1]) / len(outside), "%", len(inside) + len(outside), error)


def _share_below(scores: Doubles, others: Doubles) -> Doubles:
    """For each of ``scores``, the share of ``others`` that is lower; equal ones count half."""
    ordered = np.sort(others)
    twice: npt.NDArray[np.int64] = np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right")
    return np.asarray(twice / (2 * len(others)))
