"""A photograph, its true mask, the predicted one, and where they differ: side by side, with a legend."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tasks.data.targets import VOID, Mask

Pixels = npt.NDArray[np.uint8]

WIDTH = 900
"""Pixels, at most."""
GAP, LINE = 4, 16
_BLACK, _WHITE, _RED, _GREY = (0, 0, 0), (255, 255, 255), (214, 39, 40), (200, 200, 200)


def palette(classes: int) -> Pixels:
    """A colour for each class, always the same: uint8 [classes, 3], hues a golden ratio apart, in three shades."""
    hues = [
        colorsys.hsv_to_rgb(i * 0.618033988749895 % 1, 0.85 - 0.2 * (i % 2), 0.95 - 0.2 * (i % 3))
        for i in range(classes)
    ]
    return np.asarray(np.rint(255 * np.array(hues).reshape(-1, 3)), np.uint8)


def side_by_side(photograph: Pixels, truth: Mask, found: Mask, classes: Sequence[str]) -> Pixels:
    """uint8 [h', w', 3] of a photograph uint8 [h, w, 3] and two masks of its size.

    Void is black; in the last panel, what is right is grey, what is wrong red. The legend names the classes in it.
    """
    from PIL import Image as Pil
    from PIL import ImageDraw

    colours = np.concatenate([palette(len(classes)), np.array([_BLACK], np.uint8)])  # void, −1, is the last one
    wrong = np.where((truth == found)[..., None], np.array(_GREY, np.uint8), np.array(_RED, np.uint8))
    wrong[truth == VOID] = _BLACK
    height, width = truth.shape
    small_w = min(width, (WIDTH - 3 * GAP) // 4)
    small_h = max(1, round(height * small_w / width))
    present = [int(c) for c in np.union1d(truth, found) if c != VOID]
    columns = 4
    lines = -(-len(present) // columns)
    sheet = Pil.new("RGB", (4 * small_w + 3 * GAP, LINE + small_h + GAP + lines * LINE), _WHITE)
    draw = ImageDraw.Draw(sheet)
    panels = (
        ("photograph", photograph, Pil.Resampling.BILINEAR),
        ("truth", colours[truth], Pil.Resampling.NEAREST),
        ("prediction", colours[found], Pil.Resampling.NEAREST),
        ("errors", wrong, Pil.Resampling.NEAREST),
    )
    for i, (title, pixels, method) in enumerate(panels):
        left = i * (small_w + GAP)
        draw.text((left, 2), title, fill=_BLACK)
        sheet.paste(Pil.fromarray(np.ascontiguousarray(pixels)).resize((small_w, small_h), method), (left, LINE))
    for place, label in enumerate(present):
        left, top = place % columns * (small_w + GAP), LINE + small_h + GAP + place // columns * LINE
        draw.rectangle((left, top + 3, left + 9, top + 12), fill=tuple(colours[label].tolist()))
        draw.text((left + 14, top + 2), classes[label], fill=_BLACK)
    return np.asarray(sheet, np.uint8)
