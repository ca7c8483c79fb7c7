"""The sweep's data as one cell sees them: what its compiled engine emits for every image, split by split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from bench.records.parts import Extraction
from bench.sweep import keys
from bench.sweep.cells import Planned
from bench.sweep.features import extract
from bench.sweep.rows import ShardedRows
from engines.base import Plan
from export.progress import counting
from tasks.base import FEATURES, Batchwise, Labels, Rows, Splits
from tasks.data.base import SPLITS, DataSet, Split

Gathered = Mapping[str, ShardedRows]


class View:
    """Outputs of one cell. Training images are extracted once, for any number of test sets.

    Args:
        plan: built for the cell's engine as it serves many queries at once.
    """

    def __init__(self, planned: Planned, plan: Plan) -> None:
        self._planned, self.plan = planned, plan
        self._kept: dict[tuple[str, tuple[str, ...]], tuple[Gathered, Extraction]] = {}

    def splits(self, images: DataSet, outputs: Sequence[str]) -> tuple[Splits, Extraction]:
        """The three splits of a data set, and how the extraction of its sources went.

        Raises:
            CellError: as :func:`bench.sweep.features.extract`.
        """
        sources = [self._of(source, tuple(outputs), keep=number == 0) for number, source in enumerate(images.sources)]
        found = Extraction(sum(how.images for _, how in sources), sum(how.seconds for _, how in sources))
        return split(images, [rows for rows, _ in sources]), found

    def _of(self, source: DataSet, outputs: tuple[str, ...], keep: bool) -> tuple[Gathered, Extraction]:
        of = source.digest, outputs
        if of in self._kept:
            return self._kept[of]
        planned = self._planned
        wanted = {name: keys.feature_key(self.plan.key, planned.preprocess, source.digest, name) for name in outputs}
        with counting(f"  features of {source.name}", len(source.samples)) as advance:
            found = extract(
                lambda: planned.throughput.load(self.plan),
                wanted,
                planned.path(self.plan),
                source,
                planned.store,
                advance,
            )
        if keep:
            self._kept[of] = found
        return found


def split(images: DataSet, rows: Sequence[Gathered]) -> Splits:
    """The outputs of the sources of ``images``, each in its own order → the three splits of ``images``."""
    places = [{s.id: row for row, s in enumerate(source.samples)} for source in images.sources]
    parts = {name: _part(images, name, rows, places) for name in SPLITS}
    return Splits(parts["train"], parts["val"], parts["test"])


def _part(images: DataSet, name: Split, rows: Sequence[Gathered], places: Sequence[Mapping[str, int]]) -> Batchwise:
    samples = images.split(name)
    where = [images.source(sample) for sample in samples]
    of = np.array([number for number, _ in where], np.int64)
    at = np.array([places[number][inner] for number, inner in where], np.int64)
    labels = Labels(np.array([s.label for s in samples], np.int64), images.classes, _junk(images, name))
    return Batchwise({output: _picked([r[output] for r in rows], of, at, output) for output in rows[0]}, labels)


def _picked(sources: Sequence[ShardedRows], of: npt.NDArray[np.int64], at: npt.NDArray[np.int64], output: str) -> Rows:
    """Rows ``at`` of the sources numbered ``of``. Pooled features are small, and are read at once."""
    starts = np.cumsum([0, *(len(source) for source in sources)])
    whole = sources[0] if len(sources) == 1 else ShardedRows.chained(sources)
    picked = whole.pick(starts[of] + at)
    return picked[:] if output == FEATURES else picked


def _junk(images: DataSet, name: Split) -> npt.NDArray[np.int64]:
    if name != "test":
        return np.empty((0, 2), np.int64)
    test, train = ({s.id: row for row, s in enumerate(images.split(part))} for part in ("test", "train"))
    return np.array([(test[query], train[image]) for query, image in images.junk], np.int64).reshape(-1, 2)
