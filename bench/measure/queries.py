"""The real images that a timing rotates through: encoded as they came, and as the pixels that an engine is given.

A network is faster on zeros, and a cache is warmer with one image than with many: at least 64 different images
(pitfall 3), or as many as the data set has, and then the record says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from export.store import Entry

COUNT = 64


@dataclass(frozen=True)
class Queries:
    """Images in rotation: ``pixels`` uint8 [n, height, width, 3], ``encoded`` the same images as files hold them."""

    pixels: npt.NDArray[np.uint8]
    encoded: list[bytes]

    def __len__(self) -> int:
        return len(self.encoded)

    def batches(self, size: int) -> list[npt.NDArray[np.uint8]]:
        """As many batches of ``size`` as there are images, each starting at another image and going round.

        They are windows on one array: the images are in memory once, whatever the size.
        """
        around = self.pixels.take(range(len(self) + size - 1), axis=0, mode="wrap") if size > 1 else self.pixels
        return [around[start : start + size] for start in range(len(self))]


def load(entry: Entry) -> Queries:
    """Read what was prepared (see ``bench.sweep.rotation``)."""
    return Queries(np.load(entry.file("pixels.npy")), read_encoded(entry))


def write_encoded(folder: Path, encoded: Sequence[bytes]) -> dict[str, Any]:
    """Write encoded images into an entry's folder, as one file; the fields that its manifest must have."""
    (folder / "encoded.bin").write_bytes(b"".join(encoded))
    return {"lengths": [len(e) for e in encoded]}


def read_encoded(entry: Entry) -> list[bytes]:
    """The images that :func:`write_encoded` wrote."""
    blob = entry.file("encoded.bin").read_bytes()
    ends = np.cumsum(entry.fields["lengths"]).tolist()
    return [blob[end - length : end] for end, length in zip(ends, entry.fields["lengths"], strict=True)]
