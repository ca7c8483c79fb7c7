"""One pass over the images for all depths of a backbone: they take the same input, so that it is read and made once.

What each depth emits is emitted by its own plan, of the file that would be shipped. The pass leaves it in the store,
where the cell finds it when its turn to be scored comes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bench.sweep import keys
from bench.sweep.cells import Planned
from bench.sweep.desk import Desk
from bench.sweep.features import Emitter, together
from engines.base import Plan
from export.errors import OutOfSpace, UserError, first_line
from export.progress import counting, say
from tasks.base import FEATURES
from tasks.data.base import DataSet

ENDS = (OutOfSpace, KeyboardInterrupt)
"""What ends a sweep. Everything else is said by the cell that it is of, in its own turn."""
HELD_BYTES = 4 << 30
"""Of ONNX files whose sessions are open at once."""


@dataclass(frozen=True)
class _Reader:
    """A cell whose features are wanted, and its plan."""

    planned: Planned
    plan: Plan


def depths_of(planned: Planned, cells: Sequence[Planned]) -> list[Planned]:
    """The cells that differ from this one in depth alone, itself among them."""

    def kind(cell: Planned) -> tuple[object, ...]:
        return replace(cell.backbone, depth=0), cell.engine.spec, cell.precision

    return [cell for cell in cells if kind(cell) == kind(planned)]


def read_once(group: Sequence[Planned], data: Sequence[DataSet], desk: Desk) -> None:
    """Extract the pooled features that the cells of one group lack for scores that they owe.

    A cell that cannot be built is left out, and so are all where the pass fails: what is wrong is said in their turn.

    Raises:
        OutOfSpace: the disk is full.
    """
    try:
        for source, cells in _owed(group, data, desk):
            for readers in _held(cells):
                _pass(readers, source)
    except ENDS:
        raise
    except BaseException as error:
        say(f"  each depth by itself: {error.what if isinstance(error, UserError) else first_line(error)}")


def _owed(group: Sequence[Planned], data: Sequence[DataSet], desk: Desk) -> Iterator[tuple[DataSet, list[Planned]]]:
    """Every data set that is read, and the cells whose features for it are wanted, where these are several."""
    sources: dict[str, DataSet] = {}
    wanted: dict[str, dict[str, Planned]] = {}
    for planned in group:
        if planned.trouble or not planned.availability.ok:
            continue
        for images, scorer in planned.owed(data):
            if FEATURES not in scorer.meta.outputs or planned.unscored(scorer):
                continue
            if desk.finished(planned.score_key(images, scorer)):
                continue
            learned = planned.origin if scorer.meta.head == "deployed" else planned
            for source in images.sources:
                sources[source.digest] = source
                wanted.setdefault(source.digest, {})[learned.plan_key] = learned
    for digest, cells in wanted.items():
        if len(cells) > 1:
            yield sources[digest], list(cells.values())


def _held(cells: Sequence[Planned]) -> Iterator[list[_Reader]]:
    """The cells with their plans, as many at once as fit into memory."""
    readers: list[_Reader] = []
    for planned in cells:
        try:
            plan = planned.plan(planned.throughput)
        except ENDS:
            raise
        except BaseException:  # it is raised again, and recorded, in the cell's own turn
            continue
        if readers and sum(r.plan.artifact.onnx_bytes for r in readers) + plan.artifact.onnx_bytes > HELD_BYTES:
            yield readers
            readers = []
        readers.append(_Reader(planned, plan))
    if readers:
        yield readers


def _pass(readers: Sequence[_Reader], source: DataSet) -> None:
    emitters = [
        Emitter(
            lambda r=r: r.planned.throughput.load(r.plan),  # type: ignore[misc]
            {FEATURES: keys.feature_key(r.plan.key, r.planned.preprocess, source.digest, FEATURES)},
        )
        for r in readers
    ]
    first = readers[0]
    with counting(f"  features of {source.name} at {len(readers)} depths", len(source.samples)) as advance:
        together(emitters, first.planned.path(first.plan.artifact), source, first.planned.store, advance)
