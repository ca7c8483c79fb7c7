"""From a sweep, which is a value, to its cells and its data: the one place where they are put together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np

from bench.sweep.calibration import calibrated
from bench.sweep.cells import Planned, suits
from bench.sweep.expansion import expand
from bench.sweep.spec import SweepSpec
from engines.preprocess.catalog import orientation
from export.errors import UserError
from export.places import expanded
from export.progress import now_and_then, say
from export.store import Store
from export.variant import ALL
from tasks.catalog import TASKS, task
from tasks.data.altered.corruption import MOVING, corrupted, named
from tasks.data.altered.scope import beside
from tasks.data.altered.shift import shifted
from tasks.data.altered.windows import windowed
from tasks.data.base import DataSet
from tasks.data.catalog import open_dataset
from tasks.data.layout import few
from tasks.data.targets import SERVES


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
        UserError: as :func:`bench.sweep.expansion.expand`, and as the data sets' own.
        Unavailable: as :func:`bench.sweep.expansion.expand`; or a data set is not available.
    """
    cells = expand(sweep, store)
    data = tuple(_data(sweep, store))
    for images in data:
        _say(images)
    _require_stored(sweep, data)
    cells = sized(suited(cells, data, named_all=sweep.tasks == (ALL,)), data)
    data = tuple(cut(images, largest(cells)) for images in data)
    return Assembly(tuple(calibrated(cells, data[0]) if data else cells), data)


NEEDS = {
    "labels": "one class an image",
    "masks": "masks: a class for each pixel",
    "boxes": "boxes of objects",
    "shapes": "shapes of objects",
}
"""What a task needs, or a data set has, by kind."""


def suited(cells: Sequence[Planned], data: Sequence[DataSet], named_all: bool) -> list[Planned]:
    """The cells with the tasks that some data set is for.

    Args:
        named_all: all tasks were asked for: those that no data set is for are then left out, and otherwise refused.

    Raises:
        UserError: no data set has what a task needs, or no task is for a data set.
    """
    tasks = cells[0].tasks if data else []
    kinds = [SERVES[images.kind] for images in data]
    fit = [scorer for scorer in tasks if any(scorer.meta.kind in serves for serves in kinds)]
    lonely = [scorer for scorer in tasks if scorer not in fit]
    if lonely and named_all and fit:
        say(f"tasks left out, because no data set is for them: {', '.join(scorer.meta.name for scorer in lonely)}")
    elif lonely:
        images = data[0]
        raise UserError(
            f"The task {lonely[0].meta.name} needs {NEEDS[lonely[0].meta.kind]}.",
            f"{images.name} has {NEEDS[images.kind]}.",
            _tasks_for(images),
        )
    for images, serves in zip(data, kinds, strict=True):
        if tasks and not any(scorer.meta.kind in serves for scorer in fit):
            raise UserError(
                f"No task of the sweep is for {images.name}.",
                f"It has {NEEDS[images.kind]}; the tasks are {', '.join(scorer.meta.name for scorer in tasks)}.",
                _tasks_for(images),
            )
    names = tuple(scorer.meta.name for scorer in fit)
    return [replace(cell, sweep=replace(cell.sweep, tasks=names)) for cell in cells] if lonely else list(cells)


def _tasks_for(images: DataSet) -> str:
    """The option that names the tasks for a data set; empty where there is none."""
    known = [name for name in TASKS if suits(task(name), images)]
    return f"--tasks {','.join(known)}" if known else ""


def _require_stored(sweep: SweepSpec, data: Sequence[DataSet]) -> None:
    """Refuse to turn pictures by their EXIF orientation where masks or boxes are those of the stored ones."""
    annotated = [images for images in data if images.targets]
    if annotated and orientation(sweep.preprocess) != "stored":
        raise UserError(
            f"--preprocess {sweep.preprocess} turns pictures by their EXIF orientation.",
            f"{annotated[0].name} has {NEEDS[annotated[0].kind]}, which are of the pictures as stored.",
            f"--preprocess {sweep.preprocess.partition(':')[0]}",
        )


LONGEST = 480
"""Pixels of the longer side of the input that is taken for masks and boxes where none is asked for."""
LEAST = 32
"""Pixels of its shorter side: the largest stride of most networks."""


def sized(cells: Sequence[Planned], data: Sequence[DataSet]) -> list[Planned]:
    """The cells with the input that the sweep asks for.

    Where the first data set has masks or boxes and the sweep asks for no size, it is the median size of its pictures,
    the longer side at most :data:`LONGEST`, each at least :data:`LEAST`; and every picture is shown whole.
    """
    sweep = cells[0].sweep
    size, resize = "", sweep.resize
    if data and data[0].targets:
        resize = resize or "letterbox"
        if not sweep.size:
            sides = np.median(data[0].targets(data[0].samples).sizes, axis=0)
            height, width = np.rint(sides * min(1.0, LONGEST / sides.max())).clip(LEAST).astype(int)
            size = f"{height}x{width}"
            how = "padded" if resize == "letterbox" else "stretched"
            say(f"input: {size}, from the pictures of {data[0].name}; pictures of another shape are {how}")
    if not (size or resize):
        return list(cells)
    return [
        replace(cell, backbone=replace(cell.backbone, size=size or cell.backbone.size, resize=resize)) for cell in cells
    ]


def largest(cells: Sequence[Planned]) -> str:
    """The size with the most pixels that was asked for: at each the same windows of large pictures are shown, so that
    their scores can be compared. Empty where none was."""
    asked = {cell.backbone.size for cell in cells} - {""}
    return max(asked, key=lambda size: prod(map(int, size.split("x"))), default="")


def cut(images: DataSet, size: str) -> DataSet:
    """A data set as it is shown at an input of that size: with masks, its large pictures as windows, which is said."""
    if not (size and images.kind == "masks"):
        return images
    height, width = map(int, size.split("x"))
    found = windowed(images, height, width)
    if found is not images and not images.parts:
        say(f"data {images.name}: {found.remarks[-1]}")
    return found


def _data(sweep: SweepSpec, store: Store) -> Iterator[DataSet]:
    def opened(ref: str, whole: bool = False) -> DataSet:
        return open_dataset(
            ref,
            store,
            limit=sweep.limit,
            seed=sweep.seed,
            max_unreadable=sweep.max_unreadable,
            whole=whole,
            void=sweep.void,
            progress=now_and_then(f"indexing {ref}"),
        )

    refs = list({_place(ref): ref for ref in reversed(sweep.data)}.values())[::-1]  # each once
    given = [(ref, opened(ref)) for ref in refs]
    given += [(ref, opened(ref, whole=True)) for ref in (*sweep.shifted, *sweep.out_of_scope)]
    sets = iter(named_apart(given))
    fits = [next(sets) for _ in refs]
    seen = [next(sets) for _ in sweep.shifted]
    outside = [next(sets) for _ in sweep.out_of_scope]
    yield from fits
    for other in seen:
        for fitted in fits:
            yield from shifted(fitted, other)
    for fitted in fits:
        settings = [setting for text in sweep.corruptions for setting in named(text, fitted.kind)]
        if fitted.targets and any(text.partition(":")[0] == ALL for text in sweep.corruptions):
            say(f"data {fitted.name}: not corrupted by {', '.join(MOVING)}, which moves what is in a picture")
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
