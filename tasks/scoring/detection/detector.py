"""What the tasks of detection have in common: how a head is learned, deployed, judged and drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from export.errors import UserError
from export.geometry import Frame
from export.spec import Metric
from tasks.base import Batchwise, Fitted, Head, Journal, NoJournal, Score, Task
from tasks.data.targets import Objects
from tasks.scoring.detection import drawing, maps, shapes
from tasks.scoring.detection.average_precision import METRICS, Detections, Doubles, Matched, matched
from tasks.scoring.detection.detections import in_picture
from tasks.scoring.detection.grid import Grid
from tasks.scoring.detection.recipe import WIDTH, Recipe, detections
from tasks.scoring.detection.targets import Placed
from tasks.scoring.features import Floats
from tasks.scoring.reading import read

_LEARNED = "weight_"
"""What the names of learned weights begin with, among the arrays of a fit."""
_NOTES = {
    "AP_small": "objects below 32² pixels",
    "AP_medium": "objects of 32² to 96² pixels",
    "AP_large": "objects above 96² pixels",
    "AR": "at most {most} detections of a class in an image",
}
_UNSEEN = {"note": "no object in train"}


class Detector(Task):
    """A head that is trained on the maps of train and finds objects. A task names its recipe."""

    recipe: ClassVar[Recipe]

    def fit(self, train: Batchwise, val: Batchwise, seed: int) -> Fitted:
        return self.resume(train, val, seed, NoJournal())

    def resume(self, train: Batchwise, val: Batchwise, seed: int, journal: Journal) -> Fitted:
        """As :meth:`fit`; what the journal holds is the state after each epoch of each training.

        Returns:
            ``arrays``: ``weight_NAME``, float32, of the head of the seed that is better on val; ``mean_TAP`` and
            ``scale_TAP``, float32 [c, 1, 1], the standardisation; ``present``, int64 [c], the labels that train has,
            in the order of the head's columns; ``reach``, float64, pixels, the unit of a box's sides; ``count``, int64.

        Raises:
            UserError: train or val has no object. CellError: maps hold NaN or Inf.
        """
        for split, part in (("train", train), ("val", val)):
            _require_objects(split, part.objects)
        from tasks.scoring.detection import training

        objects = train.objects
        present = np.unique(np.concatenate([one.labels[~one.crowd] for one in objects.pictures]))
        placed = [Placed.of(objects[row], train.frame(row), present) for row in range(len(objects))]
        sides = np.concatenate([(one.boxes[:, 2:] - one.boxes[:, :2]).ravel() for one in placed]) / 2
        if not len(sides):
            raise UserError(
                "No object of train lies in the network's input.",
                "The crop leaves out all of them.",
                "crop_mode squash",
            )
        held, scaling = maps.read(train, "train")
        grid, most = Grid.of(train), max(int((~one.crowd).sum()) for one in objects.pictures)
        examples = training.Examples(
            self.recipe,
            held,
            scaling,
            grid,
            placed,
            [shapes.learned(objects[row], one, train.frame(row)) for row, one in enumerate(placed)]
            if self.recipe.shapes
            else [],
            present,
            float(np.exp(np.log(sides).mean())),
            min(detections(most), len(present) * grid.cells),
        )
        trials, heads = training.search(examples, maps.read(val, "val")[0], seed, journal)
        best = training.best(heads)
        arrays: dict[str, npt.NDArray[Any]] = {f"{_LEARNED}{name}": array for name, array in best.weights.items()}
        arrays |= {f"mean_{tap}": values for tap, values in scaling.mean.items()}
        arrays |= {f"scale_{tap}": values for tap, values in scaling.scale.items()}
        arrays |= {"present": present, "reach": np.array(examples.scale), "count": np.array(examples.count)}
        chosen = {**best.row(), "val_AP_of_seeds": [head.quality[0] for head in heads]}
        return Fitted(train, seed, arrays, chosen, [head.row() for head in trials + heads])

    def head(self, fitted: Fitted) -> Head:
        """From the taps, float32 [n, c, h, w], to ``boxes`` float32 [n, k, 4], x1, y1, x2, y2 in its input's pixels,
        and ``scores`` and ``labels``, float32 [n, k], best first; a score of 0 stands for no detection.

        With shapes also ``masks``, float32 [n, k, 48, 48]: logits at the centres of 48 x 48 equal parts of each box.
        """
        from tasks.scoring.detection import graph

        learned, taps = fitted.arrays, {name: rows.shape[1:] for name, rows in fitted.train.outputs.items()}
        mean, scale = ({tap: learned[f"{part}_{tap}"] for tap in taps} for part in ("mean", "scale"))
        weights = graph.folded(_weights(fitted), mean, scale)
        made = graph.model(
            self.meta.name,
            taps,
            weights,
            Grid.of(fitted.train),
            float(learned["reach"]),
            learned["present"],
            int(learned["count"]),
        )
        return Head(made, ("scores",), parameters(fitted))

    def judge(self, fitted: Fitted, test: Batchwise) -> Score:
        """Score what a head emitted for test.

        Raises:
            UserError: test has no object. CellError: an output holds NaN or Inf.
        """
        truth, most = test.objects, int(fitted.arrays["count"])
        _require_objects("test", truth)
        found: list[Detections] = []
        for rows, outputs in read(test, "test", "judging"):
            for place, row in enumerate(rows.tolist()):
                found.append(self._found(outputs, place, test.frame(row)))
        boxes = matched(truth, found, most=most)
        if self.recipe.shapes:
            main = matched(truth, found, shapes=True, most=most)
            metrics = [*_metrics(main, fitted.seed, "mask_"), *_metrics(boxes, fitted.seed, "box_")[:3]]
        else:
            main = boxes
            metrics = _metrics(main, fitted.seed, "")
        metrics.append(Metric.cost("head_parameters", parameters(fitted), ""))
        learned = set(fitted.arrays["present"].tolist())
        by_class: list[dict[str, Any]] = []
        for label, (ap, ap50, n) in enumerate(main.by_class()):
            known = {"AP": ap, "AP50": ap50} if n else {"AP": None, "AP50": None}
            by_class.append({"class": truth.classes[label], **known, "n": n, **({} if label in learned else _UNSEEN)})
        unseen = [truth.classes[label] for label, row in enumerate(by_class) if row["n"] and label not in learned]
        if unseen:
            note = f"classes without an object in train, AP 0: {', '.join(unseen)}"
            metrics[0] = replace(metrics[0], note=f"{metrics[0].note}; {note}" if metrics[0].note else note)
        return Score(metrics, main.parts(), by_class=by_class)

    def picture(self, fitted: Fitted, test: Batchwise, row: int, photograph: drawing.Pixels) -> drawing.Pixels:
        """Boxes (and masks) of objects and of detections of a score of 0.3 and more, as :func:`drawing.drawn`."""
        found = self._found(test.at(np.array([row])), 0, test.frame(row))
        return drawing.drawn(photograph, test.objects[row], found, test.classes)

    def _found(self, outputs: Mapping[str, Floats], place: int, frame: Frame) -> Detections:
        one = {name: rows[place : place + 1] for name, rows in outputs.items()}
        return in_picture(one, frame, shapes=self.recipe.shapes)


def parameters(fitted: Fitted) -> int:
    """Weights of the deployed head; the standardisation is a bias of the laterals."""
    return WIDTH + sum(array.size for array in _weights(fitted).values())


def _weights(fitted: Fitted) -> dict[str, npt.NDArray[Any]]:
    """Those of the network, by name."""
    return {name.removeprefix(_LEARNED): a for name, a in fitted.arrays.items() if name.startswith(_LEARNED)}


def _metrics(found: Matched, seed: int, prefix: str) -> list[Metric]:
    """:data:`METRICS`, each with the deviation of its bootstrap resamples."""
    [values], resampled = found.values(), found.resampled(seed)
    return [
        _metric(f"{prefix}{name}", value, column[~np.isnan(column)], found.images, _NOTES.get(name, ""), found.most)
        for name, value, column in zip(METRICS, values.tolist(), resampled.T, strict=True)
    ]


def _metric(name: str, value: float, resampled: Doubles, images: int, note: str, most: int) -> Metric:
    if math.isnan(value):
        return Metric.gain(name, None, "%", note=f"test has no {note}")
    error = float(resampled.std(ddof=1)) if images > 1 else None
    return Metric.gain(name, value, "%", images, error, note.format(most=most))


def _require_objects(split: str, objects: Objects) -> None:
    """Refuse a split in which there is nothing to find.

    Raises:
        UserError: naming it.
    """
    if not len(objects):
        raise UserError(f"The {split} split is empty.", "Objects are found on train, val and test.", "give it images")
    if all(one.crowd.all() for one in objects.pictures):
        raise UserError(
            f"The {split} split has no object.",
            f"Its {len(objects)} images have no box"
            + (" but those of crowds." if any(map(len, objects.pictures)) else "."),
            "annotate some of its images, or split the images again",
        )
