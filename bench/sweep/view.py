"""The sweep's data as one plan sees them: what it emits for every image, split by split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from bench.records.parts import Extraction
from bench.sweep import keys
from bench.sweep.cells import Planned
from bench.sweep.features import extract
from bench.sweep.maps import Maps
from bench.sweep.rows import ShardedRows
from engines.base import Plan
from export.errors import CellError
from export.progress import counting, say
from tasks.base import FEATURES, MAPS, Batchwise, Labels, Rows, Splits, Targets
from tasks.data.base import DataSet, Split

Gathered = Mapping[str, ShardedRows]


class View:
    """Outputs of one plan. Use as a context manager.

    Training images are extracted once, for any number of test sets. Pooled features stay in the store; maps are kept
    while they are read again and again, and otherwise computed as they are read.

    Args:
        plan: built for the cell's engine as it serves many queries at once: of the backbone, or of backbone and head.
    """

    def __init__(self, planned: Planned, plan: Plan) -> None:
        self.planned, self.plan = planned, plan
        self._kept: dict[str, tuple[Gathered, Extraction]] = {}
        self._maps: dict[tuple[str, ...], Maps] = {}

    def __enter__(self) -> View:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what was opened."""
        for maps in self._maps.values():
            maps.close()

    def splits(self, images: DataSet, outputs: Sequence[str]) -> Splits:
        """All three splits; arguments and errors as :meth:`part`."""
        train, val, test = (self.part(images, split, outputs) for split in ("train", "val", "test"))
        return Splits(train, val, test)

    def part(self, images: DataSet, split: Split, outputs: Sequence[str], again: bool = False) -> Batchwise:
        """One split of a data set.

        Args:
            outputs: names of the plan's outputs; :data:`tasks.base.MAPS` for all its maps.
            again: the wide outputs of train and val are read more than once.

        Raises:
            CellError: the plan lacks an output; or as :func:`bench.sweep.features.extract`.
        """
        names = self.named(outputs)
        found: dict[str, Rows] = {}
        if FEATURES in names:
            found[FEATURES] = self._features(images, split)
        if wide := [name for name in names if name != FEATURES]:
            found |= self._wide(images, split, wide, again)
        return Batchwise(found, targets(images, split), self.plan.artifact.preprocess)

    def named(self, outputs: Sequence[str]) -> list[str]:
        """The plan's outputs that are meant, its maps with the smallest stride first.

        Raises:
            CellError: it lacks one.
        """
        shapes = {output.name: output.shape for output in self.plan.artifact.outputs}
        maps = sorted((name for name in shapes if len(shapes[name]) == 3), key=lambda name: -shapes[name][-1])
        found = [name for output in outputs for name in (maps if output == MAPS else [output])]
        for name in found or outputs:
            if name not in shapes:
                raise CellError(f"The network has no output {name!r}.", f"It has {', '.join(shapes)}.")
        return list(dict.fromkeys(found))

    def taps(self, outputs: Sequence[str]) -> tuple[dict[str, object], ...]:
        """Name, stride in pixels and channels of each map among these outputs."""
        shapes = {output.name: output.shape for output in self.plan.artifact.outputs}
        height = self.plan.artifact.preprocess.height
        return tuple(
            {"name": name, "stride": height / shapes[name][1], "channels": shapes[name][0]}
            for name in self.named(outputs)
            if len(shapes[name]) == 3
        )

    def extracted(self, images: DataSet) -> Extraction:
        """How the pooled features of the sources of a data set were extracted, as far as they were asked for."""
        kept = [self._kept[source.digest][1] for source in images.sources if source.digest in self._kept]
        return Extraction(sum(how.images for how in kept), sum(how.seconds for how in kept))

    @property
    def computed(self) -> Extraction:
        """The wide outputs that were computed so far."""
        maps = self._maps.values()
        return Extraction(sum(one.images for one in maps), sum(one.seconds for one in maps))

    def _features(self, images: DataSet, split: Split) -> Rows:
        first = images.sources[0].digest  # it is learned from, and kept for every test set
        here = {source.digest for source in images.sources}
        self._kept = {of: rows for of, rows in self._kept.items() if of == first or of in here}
        return picked(images, split, [self._of(source)[FEATURES] for source in images.sources])[:]

    def _of(self, source: DataSet) -> Gathered:
        if source.digest not in self._kept:
            planned = self.planned
            own = {FEATURES: keys.feature_key(self.plan.key, planned.preprocess, source.digest, FEATURES)}
            with counting(f"  features of {source.name}", len(source.samples)) as advance:
                self._kept[source.digest] = extract(
                    lambda: planned.throughput.load(self.plan),
                    own,
                    planned.path(self.plan.artifact),
                    source,
                    planned.store,
                    advance,
                )
        return self._kept[source.digest][0]

    def _wide(self, images: DataSet, split: Split, names: Sequence[str], again: bool) -> dict[str, Rows]:
        samples, of = images.split(split), tuple(names)
        maps = self._maps.get(of) or self._opened(of)
        if not again:
            return maps.computed(images, samples)
        limit = int(self.planned.sweep.maps_gib * 2**30)
        learned = [*images.split("train"), *images.split("val")]
        if (size := maps.bytes(len(learned))) > limit:
            say(f"  maps of {split}: {size / 2**30:.1f} GiB with train and val, more than --maps-gib; computed as read")
            return maps.computed(images, samples)
        spared = {shard for part in ("train", "val") for shard in maps.shards(images, images.split(part))}
        mib = maps.bytes(len(samples)) / 2**20
        with counting(f"  maps of {split}, kept ({mib:,.0f} MiB)", len(samples)) as advance:
            return maps.kept(images, samples, limit, spared, advance)

    def _opened(self, names: tuple[str, ...]) -> Maps:
        planned, shapes = self.planned, {output.name: output.shape for output in self.plan.artifact.outputs}
        self._maps[names] = Maps(
            key=keys.feature_key(self.plan.key, planned.preprocess, "", MAPS),
            shapes={name: shapes[name] for name in names},
            preprocess=planned.path(self.plan.artifact),
            store=planned.store,
            open_session=lambda: planned.throughput.load(self.plan),
        )
        return self._maps[names]


def picked(images: DataSet, split: Split, rows: Sequence[ShardedRows]) -> ShardedRows:
    """The rows of one split; ``rows`` are those of each source of ``images``, in its own order. Nothing is read."""
    places = [{s.id: row for row, s in enumerate(source.samples)} for source in images.sources]
    where = [images.source(sample) for sample in images.split(split)]
    of = np.array([number for number, _ in where], np.int64)
    at = np.array([places[number][inner] for number, inner in where], np.int64)
    starts = np.cumsum([0, *(len(part) for part in rows)])
    whole = rows[0] if len(rows) == 1 else ShardedRows.chained(rows)
    return whole.pick(starts[of] + at)


def targets(images: DataSet, split: Split) -> Targets:
    """What is right for the images of one split, in their order."""
    samples = images.split(split)
    if images.targets:
        return images.targets(samples)
    return Labels(np.array([s.label for s in samples], np.int64), images.classes, _junk(images, split))


def _junk(images: DataSet, name: Split) -> npt.NDArray[np.int64]:
    if name != "test":
        return np.empty((0, 2), np.int64)
    test, train = ({s.id: row for row, s in enumerate(images.split(part))} for part in ("test", "train"))
    return np.array([(test[query], train[image]) for query, image in images.junk], np.int64).reshape(-1, 2)
