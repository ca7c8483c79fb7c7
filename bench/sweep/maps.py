"""Feature maps of some images from one compiled plan: kept on disk in half precision within a limit, or computed anew.

Maps are a hundred to a thousand times as large as pooled features, so they are not kept for ever. What a fit reads many
times is kept in shards, memory-mapped, and makes place for the next cell's; what it reads once, or what does not fit
into the limit, is computed each time it is asked for.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.sweep.features import Floats, Progress, stream
from bench.sweep.keys import maps_key
from bench.sweep.rows import Indices, OnDemand, ShardedRows
from engines.base import Session
from engines.preprocess.base import Preprocess
from export.store import MANIFEST, Store
from tasks.base import Rows
from tasks.data.base import DataSet, Sample

KIND = "maps"
SHARD = 64
"""Images: a killed extraction loses at most so many."""
LARGEST = 6e4
"""Half precision ends at 65,504: a shard with a larger value is kept in single precision."""


@dataclass
class Maps:
    """Where the maps of one cell come from.

    Attributes:
        key: of the plan's maps under this preprocessing, for any image.
        shapes: tap → [c, h, w], those of the smallest stride first.
        open_session: opens the plan's session; called when something has to be computed.
        seconds, images: what was computed, so far.
    """

    key: str
    shapes: Mapping[str, tuple[int, ...]]
    preprocess: Preprocess
    store: Store
    open_session: Callable[[], Session]
    seconds: float = 0.0
    images: int = 0
    _session: Session | None = field(default=None, repr=False)

    def bytes(self, images: int) -> int:
        """What the maps of so many images take in half precision."""
        return 2 * images * sum(int(np.prod(shape)) for shape in self.shapes.values())

    def compute(
        self, data: DataSet, samples: Sequence[Sample], progress: Progress = lambda done: None
    ) -> dict[str, Floats]:
        """The maps of some images, float32 [n, c, h, w] by tap.

        Raises:
            CellError: as :func:`bench.sweep.features.stream`.
        """
        self._session = self._session or self.open_session()
        begin = time.perf_counter()
        found = stream(self._session, self.preprocess, data, samples, list(self.shapes), progress)
        self.seconds += time.perf_counter() - begin
        self.images += len(samples)
        return found

    def kept(
        self, data: DataSet, samples: Sequence[Sample], limit: int, spared: Collection[str], progress: Progress
    ) -> dict[str, Rows]:
        """The same from the disk, computed where they are not there, as rows that are read when asked for.

        Args:
            limit: bytes of all maps on the disk; the oldest make place for these.
            spared: keys of shards that stay, whatever their age.
        """
        shards: dict[str, list[Any]] = {name: [] for name in self.shapes}
        parts = [samples[start : start + SHARD] for start in range(0, len(samples), SHARD)]
        for own, part in zip(self.shards(data, samples), parts, strict=True):

            def build(folder: Path, part: Sequence[Sample] = part) -> dict[str, Any]:
                make_room(self.store, self.bytes(len(part)), limit, spared)
                for name, rows in self.compute(data, part, progress).items():
                    narrow = np.abs(rows).max(initial=0) < LARGEST
                    np.save(folder / f"{name}.npy", rows.astype(np.float16) if narrow else rows)
                return {"images": len(part)}

            entry = self.store.obtain(KIND, own, build)
            for name, found in shards.items():
                found.append(np.load(entry.file(f"{name}.npy"), mmap_mode="r"))
        return {name: ShardedRows(found) for name, found in shards.items()}

    def shards(self, data: DataSet, samples: Sequence[Sample]) -> list[str]:
        """The keys of the shards that hold the maps of these images, in their order."""
        images = [(data.sources[of].digest, inner) for of, inner in map(data.source, samples)]
        starts = range(0, len(images), SHARD)
        return [maps_key(self.key, list(self.shapes), images[start : start + SHARD]) for start in starts]

    def computed(self, data: DataSet, samples: Sequence[Sample]) -> dict[str, Rows]:
        """The same, computed whenever rows are asked for."""

        def compute(rows: Indices) -> dict[str, Floats]:
            return self.compute(data, [samples[row] for row in rows])

        return dict(OnDemand(compute, len(samples), self.shapes).outputs())

    def close(self) -> None:
        """Close the session, if one was opened."""
        if self._session:
            self._session.close()
            self._session = None


def make_room(store: Store, needed: int, limit: int, spared: Collection[str] = ()) -> None:
    """Remove the oldest shards of maps until ``needed`` bytes more are within ``limit``.

    Args:
        spared: keys of shards that stay.
    """
    shelf = store.root / KIND
    held, entries = 0, []
    for folder in shelf.iterdir() if shelf.is_dir() else ():
        with suppress(OSError):  # another run removes it at this moment
            if folder.name.startswith(".") or not (folder / MANIFEST).is_file():  # under way, or a lock
                continue
            size = sum(file.stat().st_size for file in folder.iterdir())
            held += size
            if folder.name not in spared:
                entries.append(((folder / MANIFEST).stat().st_mtime, size, folder))
    for _, size, folder in sorted(entries):
        if held + needed <= limit:
            return
        shutil.rmtree(folder, ignore_errors=True)
        (shelf / f"{folder.name}.lock").unlink(missing_ok=True)
        held -= size
