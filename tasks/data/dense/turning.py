"""From the picture as it is looked at (turned by its EXIF orientation) to the picture as it is stored.

Annotations of a photograph that a camera held upright are drawn on the turned picture; images are decoded as stored.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

SIDEWAYS = (5, 6, 7, 8)
"""Orientations that swap height and width (EXIF 2.3, tag 274)."""


def stored_points(
    points: npt.NDArray[np.float64], orientation: int, height: float, width: float
) -> npt.NDArray[np.float64]:
    """Points [n, 2], x and y on the turned picture → on the stored one, whose ``height`` and ``width`` are given."""
    a, b = points[:, 0], points[:, 1]
    across = {2: (width - a, b), 3: (width - a, height - b), 4: (a, height - b), 5: (b, a)}
    around = {6: (b, height - a), 7: (width - b, height - a), 8: (width - b, a)}
    return np.stack((across | around).get(orientation, (a, b)), axis=1)


def stored_mask(mask: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """A mask [h, w] of the turned picture → [h, w] of the stored one."""
    turned = {2: mask[:, ::-1], 3: mask[::-1, ::-1], 4: mask[::-1], 5: mask.T}
    turned |= {6: mask.T[::-1], 7: mask[::-1, ::-1].T, 8: mask.T[:, ::-1]}
    return np.ascontiguousarray(turned.get(orientation, mask))
