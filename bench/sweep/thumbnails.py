"""Thumbnails of test photographs, kept once for each data set, so that the page can show where two cells disagree."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image as Pil

from bench.records.thumbnails import Shown, place, write
from bench.sweep.cells import Planned
from engines.preprocess.catalog import orientation
from engines.processor import cores
from export.errors import OutOfSpace, UserError
from export.picture import Image, Orientation, decode
from export.progress import counting, say
from tasks.data.base import DataSet

SIDE = 96
"""Pixels of the longer side; a smaller picture stays as it is."""
QUALITY = 75
MOST = 1000
"""Test images of one data set."""


def keep(cells: Sequence[Planned], data: Sequence[DataSet], folder: Path) -> None:
    """Write down what is not there yet of the data sets whose test images some cell is scored on.

    Sets of labels alone, and not those that are shifted or corrupted: what their images cost is not for a look at them.
    What cannot be written costs no score: that is said.

    Args:
        folder: of the results folder's pictures.

    Raises:
        OutOfSpace: the disk is full.
    """
    for images in data:
        path = place(folder, images.digest)
        if images.kind != "labels" or images.shift or path.exists():
            continue
        if not any(not one.unscored(scorer) for one in cells for _, scorer in one.owed([images])):
            continue
        try:
            _write(images, path, orientation(cells[0].sweep.preprocess))
        except OutOfSpace:
            raise
        except Exception as error:
            say(f"no thumbnails of {images.name}: {type(error).__name__}: {error}")


def _write(images: DataSet, path: Path, how: Orientation) -> None:
    test = images.split("test")
    chosen = range(len(test))
    if len(test) > MOST:  # drawn, since their order goes by class
        chosen = np.sort(np.random.default_rng(0).choice(len(test), MOST, replace=False)).tolist()

    def made(number: int) -> bytes | None:
        try:
            return encoded_small(decode(images.read(test[number].id), how, SIDE * 3 // 2))
        except (UserError, OSError):  # the sweep says so where it is scored
            return None

    encoded: dict[int, bytes] = {}
    with counting(f"  thumbnails of {images.name}", len(chosen)) as advance, ThreadPoolExecutor(cores()) as pool:
        for number, one in zip(chosen, pool.map(made, chosen), strict=True):
            if one is not None:
                encoded[number] = one
            advance(1)
    write(path, [Shown(sample.id, images.classes[sample.label]) for sample in test], encoded)


def encoded_small(picture: Image) -> bytes:
    """A photograph, uint8 [h, w, 3], as a WebP of at most :data:`SIDE` pixels a side."""
    small, out = Pil.fromarray(picture), BytesIO()
    small.thumbnail((SIDE, SIDE), Pil.Resampling.LANCZOS)
    small.save(out, "WEBP", quality=QUALITY)
    return out.getvalue()
