"""Pixels that are ready for a network: prepared on the workstation, read on a board that prepares none for a score."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engines.preprocess.base import Preprocess
from export.picture import Image
from export.progress import counting
from export.spec import PreprocessSpec
from export.store import Entry, Store, key
from tasks.data.base import DataSet, Sample

if TYPE_CHECKING:
    from engines.base import Outputs, Session

KIND, FILE = "pixels", "pixels.npy"


def pixels_key(of: str, geometry: PreprocessSpec, by: dict[str, Any]) -> str:
    """Of the pixels of what ``of`` names, by a path of that identity."""
    return key("pixels", of=of, geometry=geometry.geometry().as_json(), by=by)


def prepare(images: DataSet, samples: Sequence[Sample], of: str, path: Preprocess, store: Store) -> Entry:
    """The samples' pixels in the store, uint8 [n, height, width, 3], in their order; made if they are not there.

    Raises:
        CellError: an image cannot be read, or the path does not take it.
    """

    def build(folder: Path) -> dict[str, Any]:
        shape = (len(samples), path.spec.height, path.spec.width, 3)
        rows = np.lib.format.open_memmap(folder / FILE, "w+", np.uint8, shape)
        with counting(f"  pixels of {images.name}", len(samples)) as advance:
            for row, sample in enumerate(samples):
                rows[row] = path.resize(path.decode(images.read(sample.id)))
                advance(1)
        rows.flush()
        return {"images": len(samples)}

    return store.obtain(KIND, pixels_key(of, path.spec, path.identity(path.orientation)), build)


class Ready(Preprocess):
    """Takes the bytes of one image's pixels for the encoded image."""

    ready = True

    @classmethod
    def implementation(cls) -> dict[str, Any]:
        return {"name": "ready"}

    def resize(self, image: Image) -> Image:
        return image

    def __call__(self, encoded: bytes) -> Image:
        return np.frombuffer(encoded, np.uint8).reshape(self.spec.height, self.spec.width, 3)

    def run(self, session: Session, images: Sequence[Image]) -> Outputs:
        return session.run(np.stack(images))


def dataset(entry: Entry, name: str, of: str) -> DataSet:
    """The pixels as images of a data set, in their order, for :class:`Ready`."""
    rows = np.load(entry.file(FILE), mmap_mode="r")
    samples = [Sample(str(row), 0, "test") for row in range(len(rows))]
    return DataSet(name, samples, ("",), of, lambda row: rows[int(row)].tobytes())
