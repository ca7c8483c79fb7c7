"""The images that a timing rotates through, chosen and written to the store, where child processes find them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.measure.queries import COUNT, write_encoded
from bench.sweep.keys import queries_key
from engines.preprocess.base import Preprocess
from engines.preprocess.reference import require_reference
from export.store import Entry, Store
from tasks.data.base import DataSet


def chosen(data: DataSet, seed: int) -> list[str]:
    """The ids of the images in rotation: a seeded draw from the test split, filled up from the other splits."""
    draw = random.Random(seed)
    ids: list[str] = []
    for split in ("test", "val", "train"):
        rest = [s.id for s in data.samples if s.split == split]
        ids += draw.sample(rest, min(len(rest), COUNT - len(ids)))
    return ids


def prepare(data: DataSet, preprocess: Preprocess, seed: int, store: Store) -> Entry:
    """Encoded files and the pixels that an engine is given; read by :func:`bench.measure.queries.load`.

    Raises:
        CellError: as :func:`engines.preprocess.reference.require_reference`.
    """

    def build(folder: Path) -> dict[str, Any]:
        encoded = [data.read(i) for i in chosen(data, seed)]
        pixels = np.stack([preprocess.resize(preprocess.decode(e)) for e in encoded])
        require_reference(preprocess, encoded[0], pixels[0])
        np.save(folder / "pixels.npy", pixels)
        return {**write_encoded(folder, encoded), "different": different(pixels)}

    geometry = preprocess.spec.geometry().as_json()
    own = queries_key(data.digest, geometry, preprocess.identity(preprocess.orientation), seed, COUNT)
    return store.obtain("queries", own, build)


def different(pixels: npt.NDArray[np.uint8]) -> int:
    """How many of these images [n, height, width, 3] differ from one another; all of one colour each count as one."""
    return len({image.tobytes() if image.min() < image.max() else b"" for image in pixels})
