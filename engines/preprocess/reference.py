"""A preprocessing path compared with the reference, on one photograph, wherever it is about to prepare many."""

from __future__ import annotations

import numpy as np

from engines.preprocess.base import Preprocess
from export.errors import CellError
from export.picture import Image, decode
from export.reference import resize_and_crop

LEVELS = 2
"""The largest difference of a pixel, of 255: what torch's rounding costs (see :mod:`engines.preprocess.resize`)."""


def require_reference(path: Preprocess, encoded: bytes, pixels: Image) -> None:
    """Refuse a path whose pixels are not the reference's. What works on the device, or brings its pixels along, is not
    looked at: its tests compare it.

    Args:
        encoded: a photograph. pixels: what the path made of it, uint8 [height, width, 3].

    Raises:
        CellError: another resize, crop, decoder, or order of channels.
    """
    if path.on_device or path.ready:
        return
    found = pixels.astype(np.int16)
    wanted = resize_and_crop(decode(encoded, path.orientation), path.spec).astype(np.int16)
    gap = int(np.abs(found - wanted).max()) if found.shape == wanted.shape else 255
    if gap > LEVELS:
        raise CellError(
            f"The preprocessing path {path.implementation()['name']} does not give the reference's pixels.",
            f"On one photograph they differ by up to {gap} of 255 levels; {LEVELS} is granted.",
            "the versions of Pillow and PyTorch that the project pins, or --preprocess pillow",
        )
