"""COCO's average precision, its uncertainty over images, and each image's part in it.

The library matches detections with objects, image by image. What is accumulated from the matches is a function of how
often each image is taken, so that a bootstrap resample, or a set without one image, is a row of weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.data.targets import Objects, PictureObjects
from tasks.scoring.features import Indices
from tasks.scoring.resampling import bootstrap_weights

Doubles = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
AREAS = ("all", "small", "medium", "large")
"""COCO's, of the objects: all, below 32², to 96², above; pixels of the picture."""
METRICS = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large", "AR")
RESAMPLES = 1000
_BLOCK = 1 << 22
"""Weighted values held at once."""


@dataclass(frozen=True)
class Detections:
    """What was found in one picture, best first.

    Attributes:
        boxes: float64 [d, 4], x1, y1, x2, y2 in the picture's pixels.
        scores: float64 [d]. labels: int64 [d].
        shapes: COCO run-length codes over the whole picture, one a detection; empty where there are boxes alone.
        areas: float64 [d], of the shapes, in pixels; empty likewise.
    """

    boxes: Doubles
    scores: Doubles
    labels: Indices
    shapes: tuple[bytes, ...] = ()
    areas: Doubles = field(default_factory=lambda: np.empty(0))

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True)
class Matches:
    """Detections of one class, matched with its objects within one range of areas; best first.

    Attributes:
        images: int64 [d], where each was found.
        hits: bool [10, d], at each IoU threshold: it has an object. counted: bool [10, d], it is right or wrong.
        objects: float64 [n], of each image, those that are to be found.
    """

    images: Indices
    hits: Bools
    counted: Bools
    objects: Doubles


@dataclass(frozen=True)
class Matched:
    """All matches of a test set: by class, then by range of areas (:data:`AREAS`).

    Attributes:
        images: in the set. most: detections of one class that count in one image.
    """

    matches: Sequence[Sequence[Matches]]
    images: int
    most: int = 100
    _ones: Doubles = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ones", np.ones((1, self.images)))

    def values(self, weights: Doubles | None = None) -> Doubles:
        """:data:`METRICS` in percent, float64 [draws, 7], when each image is taken so often: ``weights`` [draws, n].

        NaN where no object is in the range of areas. A class that has no object counts as little as it does in COCO's
        own evaluation.
        """
        weights = self._ones if weights is None else weights
        by_area = []
        for area in range(len(AREAS)):
            found = [precision_and_recall(of_class[area], weights) for of_class in self.matches]
            precision, recall = (_mean_over_classes([pair[part] for pair in found]) for part in (0, 1))
            by_area.append((precision, recall))
        every, recall = by_area[0]
        parts = [every.mean(1), every[:, 0], every[:, 5], *(precision.mean(1) for precision, _ in by_area[1:])]
        return 100 * np.stack([*parts, recall.mean(1)], axis=1)

    def by_class(self) -> list[tuple[float, float, int]]:
        """AP, AP50 in percent (NaN without objects) and objects of each class."""
        rows = []
        for of_class in self.matches:
            precision, _ = precision_and_recall(of_class[0], self._ones)
            rows.append((100 * float(precision.mean()), 100 * float(precision[0, 0]), int(of_class[0].objects.sum())))
        return rows

    def resampled(self, seed: int) -> Doubles:
        """:data:`METRICS` of 1,000 bootstrap resamples of the images, float64 [1000, 7]."""
        width = 1 + max((len(m.images) for of_class in self.matches for m in of_class), default=0)
        step = max(1, _BLOCK // width)
        return np.concatenate(
            [
                self.values(block[start : start + step])
                for block in bootstrap_weights(self.images, seed, RESAMPLES)
                for start in range(0, len(block), step)
            ]
        )

    def parts(self) -> Doubles:
        """Each image's part in AP, float64 [n]: jackknife pseudo-values (Efron & Tibshirani 1993, chapter 11), shifted
        so that their mean is AP.

        The mean of resampled ones varies as AP does with other test images.
        """
        [main] = self.values()[:, 0]
        without = np.empty(self.images)
        width = 1 + max((len(of_class[0].images) for of_class in self.matches), default=0)
        step = max(1, _BLOCK // width)
        for start in range(0, self.images, step):
            rows = np.arange(start, min(start + step, self.images))
            weights = np.ones((len(rows), self.images))
            weights[np.arange(len(rows)), rows] = 0
            found = [precision_and_recall(of_class[0], weights)[0] for of_class in self.matches]
            without[rows] = 100 * _mean_over_classes(found).mean(1)
        without[np.isnan(without)] = main  # the only image that has any object
        pseudo = -(self.images - 1) * without
        return np.asarray(pseudo - pseudo.mean() + main)


def precision_and_recall(matches: Matches, weights: Doubles) -> tuple[Doubles, Doubles]:
    """Average precision (of 101 recalls) and recall at each threshold: two float64 [draws, 10], NaN without objects.

    As pycocotools accumulates: precision is made monotone, and recall is searched from the left. Only hits are looked
    at: precision falls at every other detection. Of equal scores the copies of one detection stand side by side.
    """
    objects = weights @ matches.objects
    taken = weights[:, matches.images]
    shape = (len(weights), len(THRESHOLDS))
    precision, recall = np.zeros(shape), np.zeros(shape)
    same = bool((matches.counted == matches.counted[:1]).all())
    seen = np.cumsum(taken * matches.counted[0], axis=1) if same else taken
    with np.errstate(invalid="ignore", divide="ignore"):
        for index, (hits, counted) in enumerate(zip(matches.hits, matches.counted, strict=True)):
            places = np.flatnonzero(hits & counted)
            if not len(places):
                continue
            total = (seen if same else np.cumsum(taken * counted, axis=1))[:, places]
            right = np.cumsum(taken[:, places], axis=1)
            best = np.maximum.accumulate((right / (total + np.spacing(1)))[:, ::-1], axis=1)[:, ::-1]
            share = right / objects[:, None]
            reached = np.searchsorted(RECALLS, share, side="right")
            precision[:, index] = (best * np.diff(reached, axis=1, prepend=0)).sum(1) / len(RECALLS)
            recall[:, index] = share[:, -1]
    absent = objects == 0
    precision[absent], recall[absent] = np.nan, np.nan
    return precision, recall


def _mean_over_classes(found: Sequence[Doubles]) -> Doubles:
    """Of those that have objects, [draws, 10]; NaN where none has."""
    stacked = np.stack(found)
    known = ~np.isnan(stacked)
    count = known.sum(axis=0)
    return np.where(count > 0, np.where(known, stacked, 0).sum(axis=0) / np.maximum(count, 1), np.nan)


def matched(truth: Objects, found: Sequence[Detections], *, shapes: bool = False, most: int = 100) -> Matched:
    """Match detections with objects as COCO does: greedily, best first, at ten IoU thresholds; crowds are ignored.

    Args:
        found: one for each picture of ``truth``.
        shapes: by masks, not by boxes.
        most: detections of one class that count in one image (COCO's maxDets, which is 100).
    """
    from hotcoco import COCO, COCOeval

    sizes = truth.sizes.tolist()

    def indexed(parts: Sequence[PictureObjects | Detections], fields: Callable[[Any, int], dict[str, Any]]) -> COCO:
        rows: list[dict[str, Any]] = []
        for image, part in enumerate(parts):
            for index, (x1, y1, x2, y2) in enumerate(part.boxes.tolist()):
                row: dict[str, Any] = {
                    "id": len(rows) + 1,
                    "image_id": image + 1,
                    "category_id": int(part.labels[index]) + 1,
                }
                row |= {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), **fields(part, index)}
                if shapes:
                    row["segmentation"] = {"size": sizes[image], "counts": part.shapes[index]}
                rows.append(row)
        images = [{"id": row + 1, "height": height, "width": width} for row, (height, width) in enumerate(sizes)]
        kinds = [{"id": label + 1, "name": name} for label, name in enumerate(truth.classes)]
        return COCO({"images": images, "categories": kinds, "annotations": rows})

    def of_object(part: PictureObjects, index: int) -> dict[str, Any]:
        return {"area": float(part.areas[index]), "iscrowd": int(part.crowd[index])}

    def of_detection(part: Detections, index: int) -> dict[str, Any]:
        found = {"score": float(part.scores[index])}
        return found | ({"area": float(part.areas[index])} if shapes else {})

    evaluation = COCOeval(
        indexed(list(truth.pictures), of_object), indexed(found, of_detection), "segm" if shapes else "bbox"
    )
    parameters = evaluation.params
    parameters.max_dets = [1, 10, most]
    evaluation.params = parameters
    evaluation.evaluate()
    ranges = {tuple(limits): area for area, limits in enumerate(parameters.area_rng)}
    pieces: list[list[list[_Piece]]] = [[[] for _ in AREAS] for _ in truth.classes]
    for piece in evaluation.eval_imgs:
        if piece is not None:
            pieces[piece["category_id"] - 1][ranges[tuple(piece["aRng"])]].append(piece)
    return Matched([[_joined(part, len(truth)) for part in of_class] for of_class in pieces], len(truth), most)


_Piece = Mapping[str, Any]
"""What the library says of one class in one image, within one range of areas."""


def _joined(pieces: Sequence[_Piece], images: int) -> Matches:
    """Sorted as pycocotools sorts: by score, then by image."""
    objects = np.zeros(images)
    for piece in pieces:
        objects[piece["image_id"] - 1] = piece["gtIgnore"].count(False)
    pieces = sorted((piece for piece in pieces if piece["dtIds"]), key=lambda piece: piece["image_id"])
    if not pieces:
        none = np.zeros((len(THRESHOLDS), 0), bool)
        return Matches(np.zeros(0, np.int64), none, none, objects)
    order = np.argsort(-np.concatenate([np.array(piece["dtScores"]) for piece in pieces]), kind="stable")
    rows = np.repeat([piece["image_id"] - 1 for piece in pieces], [len(piece["dtIds"]) for piece in pieces])
    hits: Bools = np.concatenate([np.array(piece["dtMatched"], bool) for piece in pieces], axis=1)
    counted: Bools = ~np.concatenate([np.array(piece["dtIgnore"], bool) for piece in pieces], axis=1)
    some: Bools = np.asarray(counted.any(axis=0))
    order = order[some[order]]
    return Matches(rows[order], hits[:, order], counted[:, order], objects)
