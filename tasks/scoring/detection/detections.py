"""What a head emits, read as detections in the pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from export.geometry import Frame
from tasks.scoring.detection.average_precision import Detections
from tasks.scoring.detection.shapes import pasted
from tasks.scoring.features import Floats

SHAPED = 100
"""Detections of a picture, the best ones, whose masks are judged."""


def in_picture(outputs: Mapping[str, Floats], frame: Frame, *, shapes: bool = False) -> Detections:
    """Of one picture: its boxes, and its masks if they are asked for, in the picture's pixels.

    Args:
        outputs: ``boxes`` [1, k, 4], ``scores`` and ``labels`` [1, k], ``masks`` [1, k, s, s]. A score of 0 stands for
            no detection.
    """
    scores = np.asarray(outputs["scores"][0], np.float64)
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > 0]
    if shapes:
        order = order[:SHAPED]
    boxes = outputs["boxes"][0][order]
    labels = np.rint(outputs["labels"][0][order]).astype(np.int64)
    found = Detections(frame.into_picture(boxes), scores[order], labels)
    if not shapes:
        return found
    pairs = [_coded(outputs["masks"][0][row], outputs["boxes"][0][row], frame) for row in order]
    return replace(found, shapes=tuple(code for code, _ in pairs), areas=np.array([area for _, area in pairs]))


def _coded(logits: Floats, box: Floats, frame: Frame) -> tuple[bytes, float]:
    """A mask as a run-length code over the whole picture, and its area in pixels."""
    from hotcoco import mask as codes

    part, top, left = pasted(logits, box, frame)
    whole = np.zeros(frame.picture, np.uint8, order="F")
    whole[top : top + part.shape[0], left : left + part.shape[1]] = part
    return codes.encode(whole)["counts"], float(part.sum())
