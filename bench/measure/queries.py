"""The real images that a timing rotates through: encoded as they came, and as the pixels that an engine is given.

A network is faster on zeros, and a cache is warmer with one image than with many: at least 64 different images
(pitfall 3), or as many as the data set has, and then the record says so.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.preprocess.base import Preprocess
from export.spec import PreprocessSpec
from export.store import Entry, Store, key
from tasks.data.base import DataSet

COUNT = 64


@dataclass(frozen=True)
class Queries:
    """Images in rotation: ``pixels`` uint8 [n, height, width, 3], ``encoded`` the same images as files hold them."""

    pixels: npt.NDArray[np.uint8]
    encoded: list[bytes]

    def __len__(self) -> int:
        return len(self.encoded)

    def batches(self, size: int) -> list[npt.NDArray[np.uint8]]:
        """As many batches of ``size`` as there are images, each starting at another image and going round."""
        order = np.arange(size)
        return [np.ascontiguousarray(self.pixels[(start + order) % len(self)]) for start in range(len(self))]


def chosen(data: DataSet, seed: int) -> list[str]:
    """The ids of the images in rotation: a seeded draw from the test split, filled up from the other splits."""
    draw = random.Random(seed)
    ids: list[str] = []
    for split in ("test", "val", "train"):
        rest = [s.id for s in data.samples if s.split == split]
        ids += draw.sample(rest, min(len(rest), COUNT - len(ids)))
    return ids


def queries_key(data: DataSet, spec: PreprocessSpec, identity: dict[str, Any], seed: int) -> str:
    """The entry's key."""
    return key("queries", data=data.digest, geometry=spec.geometry().as_json(), by=identity, seed=seed, count=COUNT)


def prepare(data: DataSet, spec: PreprocessSpec, preprocess: Preprocess, seed: int, store: Store) -> Entry:
    """Write the images in rotation to the store, where child processes find them without decoding anything."""

    def build(folder: Path) -> dict[str, Any]:
        encoded = [data.read(i) for i in chosen(data, seed)]
        np.save(folder / "pixels.npy", np.stack([preprocess.resize(preprocess.decode(e)) for e in encoded]))
        (folder / "encoded.bin").write_bytes(b"".join(encoded))
        return {"lengths": [len(e) for e in encoded]}

    return store.obtain("queries", queries_key(data, spec, preprocess.identity(), seed), build)


def load(entry: Entry) -> Queries:
    """Read what :func:`prepare` wrote."""
    blob = entry.file("encoded.bin").read_bytes()
    ends = np.cumsum(entry.fields["lengths"]).tolist()
    encoded = [blob[end - length : end] for end, length in zip(ends, entry.fields["lengths"], strict=True)]
    return Queries(np.load(entry.file("pixels.npy")), encoded)
