"""Open a data set by name or by path: list it, index it, split it, and give it one digest."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from export.errors import UserError, unknown
from export.store import Store
from tasks.data import formats
from tasks.data.annotations import Checked
from tasks.data.base import SPLITS, Counted, DataSet, Sample, Split, Unreadable
from tasks.data.index import Index, index
from tasks.data.layout import LAYOUTS, Item, Source, few
from tasks.data.named import NAMED, READERS
from tasks.data.remarks import remarks
from tasks.data.sources import from_path
from tasks.data.splits import assign, given_queries, instances, subset

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Survey:
    """A data set and what was found on the way to it.

    Attributes:
        copies: images that are a copy, exact or near, of an earlier one. largest: names of the largest group.
        leaks: pairs of splits that share a picture, with the number of images of the second one (given splits only:
            splits that are made here share none).
        notes: how it was read, for the user.
        left_out: every file of the source that is no image of the set, by reason.
        traits: readable images that are not plain 8-bit grey or RGB, by what they are and what was done with it.
        counts: class → split → its images; of masks, those that show it; of boxes and shapes, its objects.
    """

    data: DataSet
    exact_copies: int
    near_copies: int
    largest: tuple[str, ...]
    leaks: dict[str, int]
    notes: tuple[str, ...]
    left_out: tuple[Counted, ...] = ()
    traits: tuple[Counted, ...] = ()
    counts: Mapping[str, Mapping[Split, int]] = field(default_factory=dict)


def open_dataset(
    ref: str,
    store: Store,
    *,
    limit: int | None = None,
    seed: int = 0,
    max_unreadable: float = 0.01,
    whole: bool = False,
    void: Collection[int] = (),
    progress: Progress | None = None,
) -> DataSet:
    """Open a data set.

    Args:
        ref: a name of :data:`NAMED`, ``name=DIR`` for a named set that the user has, or the path of a folder, a CSV,
            or a tar, tar.gz or zip archive.
        limit: take at most that many images, stratified; of gallery and queries, whole instances. seed: of the
            subset and of splits that are made here.
        max_unreadable: the part of the images that may be left out because they cannot be decoded.
        whole: every image is test, however it is split, and one class is enough: for what is never fitted on.
        void: values of masks that are neither right nor wrong, beside 255.
        progress: called with (images indexed, of how many) while the data set is indexed, which happens once; then the
            same of masks, where there are any.

    Raises:
        UserError: no such data set; no images; one class; too many unreadable images; classes too small to split;
            annotations that contradict the images or themselves.
        Unavailable: a named set that this machine can neither find nor download.
    """
    return survey(
        ref,
        store,
        limit=limit,
        seed=seed,
        max_unreadable=max_unreadable,
        whole=whole,
        void=void,
        progress=progress,
    ).data


def survey(
    ref: str,
    store: Store,
    *,
    limit: int | None = None,
    seed: int = 0,
    max_unreadable: float = 0.01,
    whole: bool = False,
    void: Collection[int] = (),
    progress: Progress | None = None,
) -> Survey:
    """Open a data set and report its contents; arguments and errors as :func:`open_dataset`."""
    try:
        source = locate(ref, store)
    except PermissionError as error:
        raise UserError(f"{error.filename} cannot be read.", "Permission denied.") from error
    if source.annotations is None:
        _require_classes(source, 1 if whole else 2)
        if void:
            raise UserError("--void is given, and the data set has no masks.", "Void is a value in masks.")
        if not whole:
            _require_enough(source)
    part = instances if source.gallery else subset
    chosen = part(source.items, limit, seed) if limit is not None else list(source.items)
    found = index([item.id for item in chosen], source.files, store, progress)
    _require_readable(source.name, found, len(chosen), max_unreadable)
    items = [item for item in chosen if item.id in found.sha256]
    _require_whole_classes(source.name, chosen, items)
    checked = None
    if source.annotations is not None:
        pictures = {item.id: found.pictures[item.id] for item in items}
        checked = source.annotations.check(pictures, void, store, progress)
    if whole:
        split: dict[str, Split] = dict.fromkeys((item.id for item in items), "test")
        splits_from = "all test"
    elif source.gallery:
        split, splits_from = given_queries(items)
    else:
        split, splits_from = assign(items, found.group, seed)
    if limit is not None and len(chosen) < len(source.items):
        how = "whole instances" if source.gallery else "by split" if checked else "stratified"
        splits_from += f"; {len(chosen)} of {len(source.items)} images, {how}, seed {seed}"
    present = {item.label for item in items}
    classes = tuple(name for name in source.classes if name in present) or tuple(sorted(present))
    number = {name: i for i, name in enumerate(classes)}
    if checked:
        classes = checked.classes
    samples = [Sample(item.id, 0 if checked else number[item.label], split[item.id]) for item in items]
    samples.sort(key=lambda sample: (SPLITS.index(sample.split), sample.id))
    junk = tuple(pair for pair in source.junk if set(pair) <= split.keys() and not whole)
    data = DataSet(
        name=source.name,
        samples=samples,
        classes=classes,
        digest=digest(samples, classes, found.sha256, junk, checked),
        read=source.files.read,
        splits_from=splits_from,
        unreadable=found.unreadable,
        licence=source.licence,
        published=source.published,
        sha256={item.id: found.sha256[item.id] for item in items},
        junk=junk,
        kind=checked.kind if checked else "labels",
        targets=checked.targets if checked else None,
    )
    return _surveyed(data, found, source, checked)


def locate(ref: str, store: Store) -> Source:
    """List the images that ``ref`` means, without opening any; errors as :func:`open_dataset`."""
    name, equals, folder = ref.partition("=")
    if name in NAMED:
        if equals and Path(folder).expanduser().is_file():
            raise UserError(
                f"{folder} is a file; {name}=DIR takes the folder that holds {name}.",
                "An archive is given by its path, without a name.",
                f"--data {folder}",
            )
        found = READERS.get(name)(name, Path(folder).expanduser() if equals else None, store)
        return replace(found, published=name)
    path = _path(ref)
    if not path.exists():
        if "/" in ref or "\\" in ref or path.is_symlink() or formats.ending(ref):
            raise UserError(
                f"There is no data set {ref}.",
                f"It is a link to {path.readlink()}, which is not there."
                if path.is_symlink()
                else f"A data set is a name or a path: {LAYOUTS}, or an archive.",
            )
        raise unknown("data set", name, NAMED, "bob tasks, or the path of a folder, CSV or archive")
    return from_path(path, store)


def _path(ref: str) -> Path:
    """``ref`` as a path.

    Raises:
        UserError: it cannot be one.
    """
    if re.match(r"[a-zA-Z][\w+.-]+://", ref):
        raise UserError(
            f"{ref} is a URL.",
            "Data are read from this machine; nothing is downloaded.",
            "download it (curl -LO URL), and give the file or folder",
        )
    if not ref.strip():
        raise UserError("The name of the data set is empty.", "", "bob tasks, or the path of a folder, CSV or archive")
    try:
        path = Path(ref).expanduser()
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except PermissionError:
        raise
    except OSError as error:
        raise UserError(f"{ref[:80]} cannot be read.", f"{error.strerror}.") from error
    except (ValueError, RuntimeError) as error:  # a zero byte; the home folder of nobody
        raise UserError(f"{ref[:80]!r} is not a path.", f"{error}".rstrip(".") + ".") from error
    return path


def digest(
    samples: Sequence[Sample],
    classes: Sequence[str],
    sha256: dict[str, str],
    junk: Iterable[tuple[str, str]] = (),
    checked: Checked | None = None,
) -> str:
    """SHA-256 over every sample's name, content, class and split, the junk pairs, and the annotations with the classes
    that they count, in any order."""
    lines = sorted(f"{s.id}\0{sha256[s.id]}\0{classes[s.label]}\0{s.split}\n" for s in samples)
    lines += sorted(f"{query}\0junk\0{image}\n" for query, image in junk)
    if checked:
        lines += sorted(f"{s.id}\0{checked.kind}\0{checked.hashes[s.id]}\n" for s in samples)
        lines += [f"{number}\0class\0{name}\n" for number, name in enumerate(classes)]
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def listing() -> list[dict[str, str | int]]:
    """The named data sets, one row each, for a table."""
    return [
        {"name": name, "images": row.images, "classes": row.classes, "licence": row.licence, "how": row.how}
        for name, row in NAMED.items()
    ]


def _require_classes(source: Source, least: int) -> None:
    labels = sorted({item.label for item in source.items})
    if len(labels) < least:
        raise UserError(
            f"{source.name} has only one class, {labels[0]!r}, of {len(source.items):,} images.",
            " ".join(("Classification needs at least two.", *(f"{note}." for note in source.notes))),
            f"the layouts {LAYOUTS}",
        )


def _require_enough(source: Source) -> None:
    """Raise where most classes have one image: then the labels are names of images, or numbers, and not classes."""
    classes = len({item.label for item in source.items})
    if not source.gallery and classes > len(source.items) / 2 and classes > 2:
        first = sorted(source.items, key=lambda item: item.id)[0]
        raise UserError(
            f"{source.name} has {classes:,} classes for {len(source.items):,} images.",
            f"A class needs images to train and to test on. Its labels are such as {first.label!r}, of {first.id}.",
            "labels that several images share; images that are looked for among others are a gallery and queries",
        )


def _require_whole_classes(name: str, chosen: Sequence[Item], readable: Sequence[Item]) -> None:
    """Raise where no image of a class can be decoded: it would be missing from the result."""
    lost = sorted({item.label for item in chosen} - {item.label for item in readable})
    if lost:
        raise UserError(
            f"{len(lost)} classes of {name} have no image that can be decoded.",
            f"They are: {few(lost)}.",
            "fix the images, or remove these classes",
        )


def _require_readable(name: str, found: Index, total: int, most: float) -> None:
    bad: Sequence[Unreadable] = found.unreadable
    if len(bad) > most * total:
        shown = "; ".join(f"{image.id}: {image.reason}" for image in bad[:5])
        raise UserError(
            f"{len(bad)} of the {total} images of {name} cannot be decoded; the limit is {most:.1%}.",
            f"The first are {shown}.",
            "fix or remove them, or raise --max-unreadable",
        )


def _labels_of_copies(data: DataSet) -> list[str]:
    """A note on images that are byte for byte the same, and have different labels."""
    labels: dict[str, set[int]] = defaultdict(set)
    for sample in data.samples:
        labels[data.sha256[sample.id]].add(sample.label)
    torn = [s.id for s in data.samples if len(labels[data.sha256[s.id]]) > 1]
    if not torn:
        return []
    return [f"one picture, several labels: {len(torn):,} images are copies of images of another class: {few(torn, 3)}"]


def _counts(data: DataSet, checked: Checked | None) -> dict[str, dict[Split, int]]:
    counts = {name: dict.fromkeys(SPLITS, 0) for name in data.classes}
    for sample in data.samples:
        held = {sample.label: 1} if checked is None else checked.counts[sample.id]
        for label, times in held.items():
            counts[data.classes[label]][sample.split] += 1 if data.kind == "masks" else times
    return counts


def _lacking(counts: Mapping[str, Mapping[Split, int]], what: str) -> list[str]:
    """Notes on classes that a split lacks, of annotated sets; of class folders the splits say so."""
    notes = []
    if nowhere := [name for name, row in counts.items() if not any(row.values())]:
        notes.append(f"classes that nothing has: {few(nowhere)}")
    for split in SPLITS:
        lacking = [name for name, row in counts.items() if name not in nowhere and not row[split]]
        notes += [f"classes without {what} in {split}: {few(lacking)}"] if lacking else []
    return notes


def _surveyed(data: DataSet, found: Index, source: Source, checked: Checked | None) -> Survey:
    members: dict[int, list[Sample]] = defaultdict(list)
    for sample in data.samples:
        members[found.group[sample.id]].append(sample)
    distinct = len({found.sha256[sample.id] for sample in data.samples})
    leaks: Counter[str] = Counter()
    for group in members.values():
        where = {sample.split for sample in group}
        for a, b in (("train", "val"), ("train", "test"), ("val", "test")):
            if a in where and b in where:
                leaks[f"{a} and {b}"] += sum(sample.split == b for sample in group)
    largest = max(members.values(), key=len)
    counts = _counts(data, checked)
    if checked is None:
        notes = (*source.notes, *_labels_of_copies(data))
    else:
        notes = (*source.notes, *checked.notes, *_lacking(counts, "pixels" if data.kind == "masks" else "objects"))
    said = remarks(notes, source.left_out, data.unreadable, found.traits, leaks)
    return Survey(
        replace(data, remarks=said),
        exact_copies=len(data.samples) - distinct,
        near_copies=distinct - len(members),
        largest=tuple(sample.id for sample in largest) if len(largest) > 1 else (),
        leaks=dict(leaks),
        notes=notes,
        left_out=source.left_out,
        traits=found.traits,
        counts=counts,
    )
