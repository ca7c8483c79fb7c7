"""Objects and detections drawn over a photograph: what was found, what was not, and what is not there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tasks.data.targets import PictureObjects
from tasks.scoring.detection.average_precision import Bools, Detections
from tasks.scoring.features import Indices

WIDEST = 900
"""Pixels of a drawing's width."""
SURE = 0.3
"""The score from which a detection is drawn."""
IOU = 0.5
"""From which a detection is right."""
RIGHT, WRONG, MISSED = (60, 200, 80), (235, 60, 50), (250, 210, 40)
_OPACITY = 0.4

Pixels = npt.NDArray[np.uint8]


def drawn(photograph: Pixels, truth: PictureObjects, found: Detections, classes: Sequence[str]) -> Pixels:
    """Right detections green, wrong ones red, missed objects yellow: uint8 [h, w, 3], at most 900 wide.

    Detections of a score below 0.3, and those on crowds, are not drawn.
    """
    from PIL import Image, ImageDraw, ImageFont

    sure = np.flatnonzero(found.scores >= SURE)
    objects = _objects(truth, found, sure)
    missed = np.setdiff1d(np.flatnonzero(~truth.crowd), objects)
    marks = [
        (truth.boxes[row], int(truth.labels[row]), MISSED, "", _code(truth.shapes, row)) for row in missed.tolist()
    ]
    for row, owner in zip(sure.tolist(), objects.tolist(), strict=True):
        if owner >= 0 and truth.crowd[owner]:
            continue
        colour, score = RIGHT if owner >= 0 else WRONG, f" {found.scores[row]:.2f}"
        marks.append((found.boxes[row], int(found.labels[row]), colour, score, _code(found.shapes, row)))
    picture = Image.fromarray(_filled(photograph, [(colour, code) for *_, colour, _, code in marks if code]))
    scale = min(1.0, WIDEST / picture.width)
    picture = picture.resize((round(picture.width * scale), max(1, round(picture.height * scale))))
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(12)
    for box, label, colour, score, _ in marks:
        x1, y1, x2, y2 = (box * scale).tolist()
        pen.rectangle((x1, y1, x2, y2), outline=colour, width=2)
        words = f"{classes[label]}{score}"
        at = (x1, max(0.0, y1 - 14))
        pen.rectangle(pen.textbbox(at, words, font=font), fill=colour)
        pen.text(at, words, fill=(0, 0, 0), font=font)
    return np.asarray(picture)


def _objects(truth: PictureObjects, found: Detections, rows: Indices) -> Indices:
    """The object of each detection, best first, of those that no other has; −1 where there is none."""
    from hotcoco import mask as codes

    out = np.full(len(rows), -1, np.int64)
    if not len(truth) or not len(rows):
        return out
    sides = [
        np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1) for boxes in (found.boxes, truth.boxes)
    ]
    overlaps = codes.bbox_iou(sides[0][rows], sides[1], truth.crowd)
    free: Bools = np.ones(len(truth), bool)
    for index, row in enumerate(rows):
        score = np.where(free & (truth.labels == found.labels[row]), overlaps[index], 0)
        score = np.where(truth.crowd, score / 4, score)  # a crowd only where there is no object
        owner = int(score.argmax())
        if score[owner] >= (IOU / 4 if truth.crowd[owner] else IOU):
            out[index], free[owner] = owner, bool(truth.crowd[owner])
    return out


def _code(shapes: Sequence[bytes], row: int) -> bytes:
    return shapes[row] if shapes else b""


def _filled(photograph: Pixels, marks: Sequence[tuple[tuple[int, int, int], bytes]]) -> Pixels:
    """Every mask's pixels mixed with its colour."""
    from hotcoco import mask as codes

    out = photograph.astype(np.float32)
    for colour, code in marks:
        inside = codes.decode({"size": list(photograph.shape[:2]), "counts": code}).astype(bool)
        out[inside] = (1 - _OPACITY) * out[inside] + _OPACITY * np.array(colour, np.float32)
    return out.astype(np.uint8)
