"""From a sweep, which is a value, to its cells and its data: the one place where they are put together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.sweep.calibration import calibrated
from bench.sweep.cells import Planned, expand
from bench.sweep.spec import SweepSpec
from engines.preprocess.catalog import orientation
from export.places import expanded
from export.progress import now_and_then, say
from export.store import Store
from tasks.data.altered.corruption import corrupted, named
from tasks.data.altered.scope import beside
from tasks.data.altered.shift import shifted
from tasks.data.base import DataSet
from tasks.data.catalog import open_dataset
from tasks.data.layout import few


@dataclass(frozen=True)
class Assembly:
    """What a sweep runs.

    Attributes:
        cells: all that were asked for, those that cannot run here included.
        data: the sets that are fitted on first, then what those fits are judged on besides.
    """

    cells: tuple[Planned, ...]
    data: tuple[DataSet, ...]

    def protocols(self, machine: str) -> set[str]:
        """The protocol hashes of everything that the sweep owes on this machine."""
        return {p for planned in self.cells for p in planned.protocols(self.data, machine)}


def assemble(sweep: SweepSpec, store: Store) -> Assembly:
    """Check every name, then open and index every data set.

    Raises:
        UserError: as :func:`bench.sweep.cells.expand`, and as the data sets' own.
        Unavailable: as :func:`bench.sweep.cells.expand`; or a data set is not available.
    """
    cells = expand(sweep, store)
    data = tuple(_data(sweep, store))
    for images in data:
        _say(images)
    return Assembly(tuple(calibrated(cells, data[0]) if data else cells), data)


def _data(sweep: SweepSpec, store: Store) -> Iterator[DataSet]:
    def opened(ref: str, whole: bool = False) -> DataSet:
        return open_dataset(
            ref,
            store,
            limit=sweep.limit,
            seed=sweep.seed,
            max_unreadable=sweep.max_unreadable,
            whole=whole,
            progress=now_and_then(f"indexing {ref}"),
        )

    refs = list({_place(ref): ref for ref in reversed(sweep.data)}.values())[::-1]  # each once
    given = [(ref, opened(ref)) for ref in refs]
    given += [(ref, opened(ref, whole=True)) for ref in (*sweep.shifted, *sweep.out_of_scope)]
    sets = iter(named_apart(given))
    fits = [next(sets) for _ in refs]
    seen = [next(sets) for _ in sweep.shifted]
    outside = [next(sets) for _ in sweep.out_of_scope]
    settings = [setting for text in sweep.corruptions for setting in named(text)]
    yield from fits
    for other in seen:
        for fitted in fits:
            yield from shifted(fitted, other)
    for fitted in fits:
        for name, severity in settings:
            yield from shifted(fitted, corrupted(fitted, name, severity, sweep.seed, orientation(sweep.preprocess)))
    for other in outside:
        for fitted in fits:
            yield beside(fitted, other)


def _place(ref: str) -> str:
    """The same for every way to write one path; what is no path, as it is."""
    path = expanded(ref)
    return str(path.resolve()) if path.exists() else ref


def named_apart(given: Sequence[tuple[str, DataSet]]) -> list[DataSet]:
    """The data sets of these references; where several have one name, each is named with the folders it lies in."""
    names = {ref: images.name for ref, images in given}
    places = {ref: Path(place).parent.parts for ref in names if (place := _place(ref)) != ref or Path(ref).exists()}
    for up in range(1, max(map(len, places.values()), default=0)):
        alike = [ref for ref in places if list(names.values()).count(names[ref]) > 1]
        for ref in alike:
            if up < len(places[ref]):
                names[ref] = f"{places[ref][-up]}/{names[ref]}"
    return [replace(images, name=names[ref]) for ref, images in given]


def _say(images: DataSet) -> None:
    licence = f", licence {images.licence}" if images.licence else ""
    say(f"data {images.name}: {len(images.samples)} images, {len(images.classes)} classes{licence}")
    say(f"  splits: {images.splits_from}")
    if untested := images.untested():
        say(f"  classes without test images, not tested: {few(untested)}")
    if not images.parts:  # a composed set repeats what its parts have said
        for remark in images.remarks:
            say(f"  {remark}")
