"""How far predicted masks agree with the true ones: intersection over union, and its parts picture by picture.

The mean is over the classes that the truth has. A class that is only predicted has no IoU of its own: its pixels are
missing from the intersections of the others. So Everingham et al. 2010 (PASCAL VOC, over the whole test set) and
Cordts et al. 2016 (Cityscapes), with void pixels left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from export.spec import Metric
from tasks.base import Score
from tasks.data.targets import VOID, Mask
from tasks.scoring.features import Indices
from tasks.scoring.metrics import Doubles
from tasks.scoring.resampling import bootstrap_weights
from tasks.scoring.segmentation.cells import unlabelled


def agreement(truth: Mask, found: Mask, classes: int) -> Doubles:
    """A picture's pixels by class, void left out, float64 [3, classes]: right; of the truth; found.

    Args:
        truth, found: of one size; ``found`` has no void.
    """
    known = truth != VOID
    wanted, given = truth[known], found[known]
    parts = (wanted[wanted == given], wanted, given)
    return np.stack([np.bincount(part, minlength=classes).astype(np.float64) for part in parts])


@dataclass(frozen=True)
class Overlaps:
    """Pixels by picture and class, without void: float64 [n, classes], all three.

    Windows of one picture are counted together: they are no more independent than its parts.

    Attributes:
        right: of that class, and found to be. true: of that class. found: found to be of it.
    """

    right: Doubles
    true: Doubles
    found: Doubles

    @classmethod
    def of(cls, counts: Doubles, pictures: Indices | None = None) -> Overlaps:
        """Of what :func:`agreement` gives, float64 [rows, 3, classes].

        Args:
            pictures: the number of each row's picture; None where every row is one.
        """
        if pictures is not None:
            rows, counts = counts, np.zeros((int(pictures.max(initial=-1)) + 1, *counts.shape[1:]))
            np.add.at(counts, pictures, rows)
        return cls(counts[:, 0], counts[:, 1], counts[:, 2])

    @property
    def ious(self) -> Doubles:
        """Of each class over all pictures, float64 [classes]; NaN where the truth has none of it."""
        return _ious(*(part.sum(axis=0) for part in (self.right, self.true, self.found)))

    def mean_iou(self) -> float:
        """Over the classes that the truth has, 0 … 1."""
        return float(np.nanmean(self.ious))

    def score(self, classes: Sequence[str], seed: int, note: str = "") -> Score:
        """mIoU, pixel accuracy and mean class accuracy in percent; by class; each picture's pseudo-value of the mIoU.

        Standard errors come from 1,000 bootstrap resamples of the pictures. A pseudo-value is the mIoU plus the
        picture's influence on it (the infinitesimal jackknife, Efron & Tibshirani 1993, chapter 21): with I and U the
        sums of a class's intersections i and unions u over n pictures, n · mean over classes of (i − IoU · u) / U.

        Raises:
            UserError: the truth has no labelled pixel.
        """
        right, true, found = self.right, self.true, self.found
        if not true.any():
            raise unlabelled("test")
        n, present = len(true), true.sum(axis=0) > 0
        values = {name: statistic(*(p.sum(axis=0) for p in (right, true, found))) for name, statistic in _METRICS}
        resampled: dict[str, list[Doubles]] = {name: [] for name, _ in _METRICS}
        for weights in bootstrap_weights(n, seed):
            sums = [weights @ part for part in (right, true, found)]
            for name, statistic in _METRICS:
                resampled[name].append(np.atleast_1d(statistic(*sums)))
        metrics = []
        for name, _ in _METRICS:
            drawn = np.concatenate(resampled[name])
            error = float(np.nanstd(drawn, ddof=1)) if n > 1 else None
            metrics.append(
                Metric.gain(name, 100 * float(values[name]), "%", n, 100 * error if error is not None else None, note)
            )
            note = ""  # it belongs to the main one
        ious, union = self.ious, true + found - right
        influence = (right - np.where(present, ious, 0) * union)[:, present] / union.sum(axis=0)[present]
        pseudo = 100 * (values["mIoU"] + n * influence.mean(axis=1))
        by_class: list[dict[str, Any]] = [
            {
                "class": name,
                "iou": 100 * float(ious[i]) if present[i] else None,
                "n_pixels": int(true[:, i].sum()),
                "n_images": int(np.count_nonzero(true[:, i])),
            }
            for i, name in enumerate(classes)
        ]
        return Score(metrics, np.asarray(pseudo, np.float64), by_class=by_class)


def _ious(right: Doubles, true: Doubles, found: Doubles) -> Doubles:
    return np.asarray(np.where(true > 0, right / np.maximum(true + found - right, 1), np.nan))


def _mean_iou(right: Doubles, true: Doubles, found: Doubles) -> Doubles:
    return _over_present(_ious(right, true, found), true)


def _pixel_accuracy(right: Doubles, true: Doubles, found: Doubles) -> Doubles:
    total = true.sum(axis=-1)
    return np.where(total > 0, right.sum(axis=-1) / np.maximum(total, 1), np.nan)


def _class_accuracy(right: Doubles, true: Doubles, found: Doubles) -> Doubles:
    return _over_present(right / np.maximum(true, 1), true)


def _over_present(values: Doubles, true: Doubles) -> Doubles:
    """The mean over the classes that the truth has, NaN where it has none: a resample of void pictures."""
    present = true > 0
    total = present.sum(axis=-1)
    return np.where(total > 0, np.where(present, values, 0).sum(axis=-1) / np.maximum(total, 1), np.nan)


_Statistic = Callable[[Doubles, Doubles, Doubles], npt.NDArray[np.float64]]
_METRICS: tuple[tuple[str, _Statistic], ...] = (
    ("mIoU", _mean_iou),
    ("pixel_accuracy", _pixel_accuracy),
    ("mean_class_accuracy", _class_accuracy),
)
"""By name, of sums of pixels [..., classes] over the pictures; the main one first."""
