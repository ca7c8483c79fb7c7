"""Features of some images of a data set from one arm's plan, piece by piece; a run over the whole set finds them done.

What is extracted of a piece lies in the store like any features, so that a race that was stopped goes on with them.
Once all pieces are there, they are published as the features of the whole set, under the very key that ``bob run``
looks for: a finalist's images are not run again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.racing.rungs import piece
from bench.sweep import keys
from bench.sweep.cells import Planned
from bench.sweep.features import FILE, KIND, SHARD, Floats, extract
from engines.base import Plan
from export.progress import counting
from tasks.base import FEATURES
from tasks.data.base import DataSet, Sample


@dataclass
class Outputs:
    """The pooled features of one cell.

    Attributes:
        plan: built for the cell's engine as it serves many queries at once.
        images, seconds: extracted, now or earlier. computed: of these images, now.
    """

    planned: Planned
    plan: Plan
    data: DataSet
    images: int = 0
    seconds: float = 0.0
    computed: int = 0
    _rows: dict[str, Floats] = field(default_factory=dict)

    @property
    def pace(self) -> float:
        """Seconds an image."""
        return self.seconds / self.images if self.images else 0.0

    def of(self, samples: Sequence[Sample]) -> Floats:
        """The features of some samples, float32 [n, d], in their order.

        Raises:
            CellError: as :func:`bench.sweep.features.extract`.
        """
        missing = [sample for sample in samples if sample.id not in self._rows]
        if missing and not self._whole():
            part = piece(self.data, missing)
            with counting(f"  {self.planned.cell.backbone}: features", len(missing)) as advance:
                self._keep(part, advance)
        return np.array([self._rows[sample.id] for sample in samples])

    def missing(self, samples: Sequence[Sample]) -> int:
        """How many of these samples would have to be extracted, were they asked for together."""
        lacking = [sample for sample in samples if sample.id not in self._rows]
        if not lacking or self._stored(self.data) or self._stored(piece(self.data, lacking)):
            return 0
        return len(lacking)

    def publish(self) -> None:
        """Extract what is missing of the whole set, and publish it as one.

        Raises:
            CellError: as :meth:`of`.
        """
        if self._whole():
            return
        self.of(self.data.samples)
        for start in range(0, len(self.data.samples), SHARD):
            samples = self.data.samples[start : start + SHARD]

            def build(folder: Path, samples: Sequence[Sample] = samples) -> dict[str, Any]:
                np.save(folder / FILE, np.array([self._rows[sample.id] for sample in samples]))
                return {"images": len(samples), "seconds": self.pace * len(samples)}

            self.planned.store.obtain(KIND, keys.shard_key(self._key(self.data), start, SHARD), build)

    def _whole(self) -> bool:
        """Take the features of the whole set, where they are in the store."""
        if not self._stored(self.data):
            return False
        self._keep(self.data, lambda done: None)
        return True

    def _stored(self, data: DataSet) -> bool:
        shards = (keys.shard_key(self._key(data), start, SHARD) for start in range(0, len(data.samples), SHARD))
        return all(self.planned.store.try_load(KIND, shard) is not None for shard in shards)

    def _keep(self, part: DataSet, advance: Any) -> None:
        def count(done: int) -> None:
            self.computed += done
            advance(done)

        found, how = extract(
            lambda: self.planned.throughput.load(self.plan),
            {FEATURES: self._key(part)},
            self.planned.path(self.plan.artifact),
            part,
            self.planned.store,
            count,
        )
        self.images, self.seconds = self.images + how.images, self.seconds + how.seconds
        self._rows |= {sample.id: row for sample, row in zip(part.samples, found[FEATURES][:], strict=True)}

    def _key(self, data: DataSet) -> str:
        return keys.feature_key(self.plan.key, self.planned.preprocess, data.digest, FEATURES)
