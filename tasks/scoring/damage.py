"""How deployment changed a backbone, image by image: two sets of features of the same images, compared.

A mean hides it when as many images turn right as turn wrong, a cosine when a few images carry the error. So changes are
counted, and where mean and cosine look well although much has changed, that is said.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from export.errors import UserError
from export.spec import Metric
from tasks.base import FEATURES, Splits
from tasks.scoring.features import Floats, l2_normalized
from tasks.scoring.metrics import Doubles, mean_metric
from tasks.scoring.neighbours import K, largest, votes
from tasks.scoring.requirements import require_finite
from tasks.scoring.resampling import Difference, paired_difference

NEIGHBOURS = 10
MANY_FLIPS = 5.0
"""Percent of the test images."""
FAR = 0.9
"""A cosine below which an image counts as lost."""


@dataclass(frozen=True)
class Damage:
    """What was found on the test split.

    Attributes:
        accuracy: change of k-NN accuracy in points, deployed less reference, with its paired 95 % interval.
        metrics: ``flips`` (images whose predicted class changed), of them ``turned_wrong`` and ``turned_right``;
            ``churn`` (of the 10 nearest training images, how many are others); ``margin_lost`` (the own class's share
            of the votes less the best other's, how much of it is gone); all in percent, with standard errors.
        cosine_mean, cosine_least: of an image's two features. worst: the id's index of the least.
        worst_class: name, change of its recall in points, its test images.
        warnings: where a mean or a cosine hides what the rest shows.
    """

    accuracy: Difference
    metrics: tuple[Metric, ...]
    cosine_mean: float
    cosine_least: float
    worst: int
    worst_class: tuple[str, float, int]
    warnings: tuple[str, ...]


def damage(reference: Splits, deployed: Splits, seed: int = 0) -> Damage:
    """Hold a deployed cell's features against the reference's.

    Args:
        reference, deployed: features of the same images in the same order.

    Raises:
        UserError: they are not of the same images. CellError: features hold NaN or Inf.
    """
    for one, other in ((reference.train, deployed.train), (reference.test, deployed.test)):
        if not np.array_equal(one.labels, other.labels):
            raise UserError("The two cells have features of different images.")
    for splits in (reference, deployed):
        require_finite((FEATURES,), train=splits.train, val=splits.val, test=splits.test)
    labels, classes = reference.test.labels, len(reference.test.classes)
    before, after = _Seen.of(reference), _Seen.of(deployed)
    right, now = before.predicted == labels, after.predicted == labels
    flipped = before.predicted != after.predicted
    rows = np.arange(len(labels))
    own = [seen.shares[rows, labels] for seen in (before, after)]
    others = [np.where(np.eye(classes, dtype=bool)[labels], -1.0, seen.shares).max(axis=1) for seen in (before, after)]
    lost = (own[0] - others[0]) - (own[1] - others[1])
    k = before.near.shape[1]
    kept = (before.near[:, :, None] == after.near[:, None, :]).any(axis=2).sum(axis=1)
    cosine = (l2_normalized(reference.test.features) * l2_normalized(deployed.test.features)).sum(axis=1)
    metrics = (
        mean_metric("flips", 100.0 * flipped, higher_is_better=False),
        mean_metric("turned_wrong", 100.0 * (right & ~now), higher_is_better=False),
        mean_metric("turned_right", 100.0 * (~right & now)),
        mean_metric("churn", 100 * (1 - kept / k), higher_is_better=False),
        mean_metric("margin_lost", 100 * lost, higher_is_better=False),
    )
    accuracy = paired_difference(100.0 * now, 100.0 * right, seed)
    worst_class = _worst_class(right, now, labels, reference.test.classes)
    least = int(cosine.argmin())
    found = Damage(accuracy, metrics, float(cosine.mean()), float(cosine[least]), least, worst_class, ())
    return Damage(**{**vars(found), "warnings": tuple(_warnings(found, cosine))})


@dataclass(frozen=True)
class _Seen:
    """k-NN through one cell: vote shares [n, classes], predicted classes [n], nearest training images [n, 10]."""

    shares: Doubles
    predicted: npt.NDArray[np.int64]
    near: npt.NDArray[np.int64]

    @classmethod
    def of(cls, splits: Splits) -> _Seen:
        gallery, queries = l2_normalized(splits.train.features), l2_normalized(splits.test.features)
        k = min(K, len(gallery))
        [given] = votes(gallery, splits.train.labels, queries, [k], len(splits.train.classes))
        return cls(
            given / given.sum(axis=1, keepdims=True), given.argmax(axis=1), nearest(gallery, queries, NEIGHBOURS)
        )


def nearest(gallery: Floats, queries: Floats, k: int) -> npt.NDArray[np.int64]:
    """Indices [n, k] of the ``k`` rows of ``gallery`` [m, d] most similar to each of ``queries`` [n, d], unordered."""
    k = min(k, len(gallery))
    rows = max(1, (1 << 24) // len(gallery))
    parts = [largest(queries[start : start + rows] @ gallery.T, k)[1] for start in range(0, len(queries), rows)]
    return np.concatenate(parts)


def _worst_class(
    right: npt.NDArray[np.bool_], now: npt.NDArray[np.bool_], labels: npt.NDArray[np.int64], names: tuple[str, ...]
) -> tuple[str, float, int]:
    counts = np.bincount(labels, minlength=len(names))
    change = np.bincount(labels, weights=now.astype(float) - right, minlength=len(names))
    points = np.where(counts > 0, 100 * change / np.maximum(counts, 1), np.inf)
    worst = int(points.argmin())
    return names[worst], float(points[worst]), int(counts[worst])


def _warnings(found: Damage, cosine: npt.NDArray[np.float32]) -> list[str]:
    by_name = {metric.name: metric.value or 0.0 for metric in found.metrics}
    steady = not found.accuracy.clear
    said = []
    if steady and by_name["flips"] >= MANY_FLIPS:
        said.append(
            f"The accuracy hides it: it changed by {found.accuracy.value:+.1f} points, and {by_name['flips']:.1f} % of "
            "the predictions did."
        )
    lost = int((cosine < FAR).sum())
    if found.cosine_mean >= 1 - (1 - FAR) / 2 and lost:
        said.append(f"The mean cosine hides it: {lost} of {len(cosine)} images are below {FAR}.")
    name, points, count = found.worst_class
    # a class of n images moves by chance too: two standard errors of what flips in it
    chance = 200 * math.sqrt(max(by_name["flips"], 1) / 100 / count)
    if steady and points < -chance:
        said.append(f"The mean hides a class: {name!r} lost {-points:.0f} points ({count} test images).")
    return said
