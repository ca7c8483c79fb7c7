"""Labels from folders: class folders, splits of class folders, class folders with splits inside, gallery and queries.

What looks like a split and could be a class, or the other way round, is refused with both readings: a ranking over the
classes "seg_train" and "seg_test" would look like any other.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from export.errors import UserError
from tasks.data import formats, split_names
from tasks.data.base import Counted, Split
from tasks.data.files import DANGLING, FORBIDDEN, Files, hidden
from tasks.data.formats import CONVERT
from tasks.data.layout import LAYOUTS, Item, Reading, contents, few

Parts = tuple[str, ...]
IMAGES = frozenset(("images", "image", "imgs", "img", "photos", "pictures", "jpegimages", "rgb"))
MASKS = frozenset(
    ("masks", "mask", "labels", "annotations", "annots", "gt", "groundtruth", "segmentationclass", "segmentationobject")
    + ("segmentation", "depth", "trimaps")
)
"""Names of folders that say what files are, and not of what class."""
TABLE = "or say the label of each image in a table, labels.csv, with the columns path,label"


@dataclass(frozen=True)
class _Place:
    """Where a file stands: in which label folder, of which split, and in which folders below it."""

    folder: str
    label: str
    split: Split | None
    below: Parts


Placing = Callable[[Parts], _Place | None]
"""The parts of a path below the top → its place; None outside the class folders."""


def read_folders(name: str, files: Files) -> Reading:
    """Labels from the folders of ``files``.

    Raises:
        UserError: there are no images, no class folders, a class folder without images, or two readings.
    """
    images = [path for path, kind in files.kinds.items() if kind.sort == "image"]
    require_files(name, files, images)
    shown = images + [path for path, kind in files.kinds.items() if kind.sort == "picture"]
    top = _wrapper([tuple(path.split("/")) for path in shown])
    inside = {path: parts[len(top) :] for path in shown if (parts := tuple(path.split("/")))[: len(top)] == top}
    notes = [f"all images lie in {'/'.join(top)}: the whole set"] if top and split_names.plain(top[-1]) else []
    firsts = sorted({parts[0] for parts in inside.values() if len(parts) > 1})
    if not firsts:
        raise UserError(
            f"The {len(images)} images of {name} are not in class folders.",
            f"Labels in file names are not read. The layouts are {LAYOUTS}.",
            "put the images of each class into a folder, " + TABLE,
        )
    gallery = {first: split_names.GALLERY[first.lower()] for first in firsts if first.lower() in split_names.GALLERY}
    splits = gallery if len(set(gallery.values())) > 1 else _split_folders(name, firsts, list(inside.values()))
    why: dict[str, str] = {}
    if splits:
        place, flat, said = _in_splits(name, splits, inside, why)
        if splits is not gallery:
            notes.append(
                "splits from the folders " + ", ".join(f"{f} ({s})" for f, s in splits.items() if f not in flat)
            )
        notes += said
    else:
        place, said = _in_classes(name, firsts, list(inside.values()))
        notes += said
    items, below = [], defaultdict[str, set[str]](set)
    deeper: list[str] = []
    for path in images:
        if path in why or path not in inside or not (at := place(inside[path])):
            continue
        items.append(Item(path, at.label, at.split))
        if at.below:
            deeper.append(at.folder + "/" + "/".join(at.below))
            below[at.label].add(at.below[0])
    _refuse_masks(name, {item.label for item in items})
    _refuse_shared(name, {item.label for item in items}, below)
    if deeper:
        notes.append(
            f"{len(deeper):,} images lie deeper, and have the class of the folder above: {few(sorted(set(deeper)), 3)}"
        )
    notes += _empty_classes(name, files, top, place, items, bool(splits))
    loose = sum(path not in why for path in images) - len(items)
    if loose:
        notes.append(f"{loose} images that lie outside the class folders are left out")
    return Reading(items, tuple(notes), why, gallery=bool(splits) and splits is gallery)


def require_files(name: str, files: Files, images: Sequence[str]) -> None:
    """Raise where files are only pointers, or there are no images."""
    pointers = [path for path, kind in files.kinds.items() if kind.what == "Git LFS pointers"]
    if pointers:
        raise UserError(
            f"{len(pointers):,} files of {name} are Git LFS pointers, not the files themselves: {few(pointers, 3)}.",
            "A pointer stands for a file that was not fetched.",
            "git lfs pull, in the repository that they come from",
        )
    if not images:
        remedy = next((kind.remedy for kind in files.kinds.values() if kind.remedy), f"the layouts {LAYOUTS}")
        if any(kind.sort == "archive" for kind in files.kinds.values()) and files.root is None:
            remedy = "unpack it, and give the archive or folder that comes out: an archive in an archive is not read"
        held = contents(files)
        raise UserError(f"{name} holds no images.", f"It holds {held}." if held else "It is empty.", remedy)


def _wrapper(paths: Sequence[Parts]) -> Parts:
    """The folders that hold all the others, as archives have them; never the last level of folders."""
    top: Parts = ()
    while True:
        deeper = [parts for parts in paths if len(parts) > len(top) + 1 and parts[: len(top)] == top]
        firsts = {parts[len(top)] for parts in deeper}
        if len(firsts) != 1 or not any(len(parts) > len(top) + 2 for parts in deeper):
            return top
        top = (*top, firsts.pop())


def _split_folders(name: str, firsts: Sequence[str], paths: Sequence[Parts]) -> dict[str, Split]:
    """Which of the top folders are splits; none unless two different ones are there."""
    found = {first: meant for first in firsts if (meant := split_names.named(first))}
    chosen = {first: meant.split for first, meant in found.items() if meant.plain}
    subfolders = _subfolders(paths)
    rest = {first: meant.split for first, meant in found.items() if meant.split not in chosen.values()}
    if rest and len({*chosen.values(), *rest.values()}) > 1:
        both = {first: subfolders[first] for first in (*chosen, *rest)}
        if all(both.values()) and _shared(both):
            chosen |= rest
    if len(set(chosen.values())) < 2:
        return {}
    twice = {split for split, times in Counter(chosen.values()).items() if times > 1}
    if twice:
        same = [first for first, split in chosen.items() if split in twice]
        raise UserError(
            f"{name} has several folders for one split: {few(same)}.",
            f"By their names, each is {' or '.join(sorted(twice))}.",
            "keep one folder for a split, and move the others away",
        )
    return chosen


def _in_splits(
    name: str, splits: Mapping[str, Split], inside: Mapping[str, Parts], why: dict[str, str]
) -> tuple[Placing, list[str], list[str]]:
    """The placing of folders of splits, which of them hold no class folders, and notes.

    Fills in ``why`` for the images that it passes over.
    """
    below = {folder: [parts[1:] for parts in inside.values() if parts[0] == folder] for folder in splits}
    skip = _inner_wrappers(below)
    classes = {
        folder: {parts[len(skip[folder])] for parts in paths if len(parts) > len(skip[folder]) + 1}
        for folder, paths in below.items()
    }
    unlabelled = {folder for folder, found in classes.items() if found and {_plain(one) for one in found} <= IMAGES}
    if unlabelled != classes.keys():  # val/images/1.jpg beside train/cat/1.jpg
        classes |= {folder: set() for folder in unlabelled}
    flat = [folder for folder in splits if not classes[folder]]
    notes = []
    if len({splits[folder] for folder in splits if folder not in flat}) < 2:
        held = [folder for folder in splits if folder not in flat]
        raise UserError(
            f"{few(list(splits))} look like splits; the images of {few(flat)} are in no class folders.",
            "Labels in file names are not read, and images without a label cannot train or test.",
            (
                f"give {held[0]} alone, with --data DIR/{held[0]}, "
                if held
                else "put the images of each class into a folder, "
            )
            + TABLE,
        )
    for folder in flat:
        notes.append(
            f"{len(below[folder])} images of {folder} lie in no class folder: they have no label, and are left out"
        )
    beside = sorted({parts[0] for parts in inside.values() if len(parts) > 1} - splits.keys())
    if beside:
        notes.append(f"folders beside the splits are left out: {few(beside)}")
    for path, parts in inside.items():
        if len(parts) > 1 and parts[0] in flat:
            why[path] = f"images of {parts[0]}, which has no class folders"
        elif len(parts) > 1 and parts[0] in beside:
            why[path] = "images in folders beside the splits"

    def place(parts: Parts) -> _Place | None:
        wrapper = skip.get(parts[0], ())
        rest = parts[1 + len(wrapper) :]
        if parts[0] not in splits or parts[0] in flat or len(rest) < 2 or parts[1 : 1 + len(wrapper)] != wrapper:
            return None
        return _Place("/".join((parts[0], *wrapper, rest[0])), rest[0], splits[parts[0]], rest[1:-1])

    return place, flat, notes


def _inner_wrappers(below: Mapping[str, Sequence[Parts]]) -> dict[str, Parts]:
    """Split folder → the folders inside it that hold all its class folders (``training_set/training_set/cat``).

    Where only some splits have such a folder, it has to be named like a split, or it could be the only class there.
    """
    found = {folder: _wrapper(paths) for folder, paths in below.items()}
    if not all(found.values()):
        found = {
            folder: wrapper if all(split_names.named(part) for part in wrapper) else ()
            for folder, wrapper in found.items()
        }
    return found


def _in_classes(name: str, firsts: Sequence[str], paths: Sequence[Parts]) -> tuple[Placing, list[str]]:
    """The placing of class folders, which may have splits inside."""
    subfolders = _subfolders(paths)
    inner = {first: {sub: split for sub in subfolders[first] if (split := split_names.plain(sub))} for first in firsts}
    whole = (
        all(len(parts) > 2 and parts[1] in inner[parts[0]] for parts in paths if len(parts) > 1)
        and len({split for found in inner.values() for split in found.values()}) > 1
    )
    if whole and len(firsts) > 1:
        return _splits_in_classes(name, inner)
    for first in firsts:
        if len(set(inner[first].values())) > 1:
            beside = [other for other in firsts if other != first]
            raise UserError(
                f"{name}/{first} holds the splits {few(sorted(inner[first]))}; images lie beside it, in {few(beside)}.",
                f"Two readings: the data set is {first} alone; or {first} is a class of its own.",
                f"--data DIR/{first}; " + TABLE,
            )
    named = [first for first in firsts if split_names.plain(first)]
    if len({split_names.plain(first) for first in named}) == 1 and len(named) == 1:
        only = named[0]
        direct = any(len(parts) == 2 and parts[0] == only for parts in paths)
        others = [first for first in firsts if first != only]
        if len(subfolders[only]) > 1 and not direct and not any(subfolders[first] for first in others):
            raise UserError(
                f"{only} looks like a split: it holds the subfolders {few(sorted(subfolders[only]))}.",
                f"Two readings: {only} is the data set, and {few(others)} are no part of it; or all are classes.",
                f"--data DIR/{only}; " + TABLE,
            )
    if shared := _shared(subfolders):
        raise UserError(
            f"{few(firsts)}: these folders hold the same subfolders ({few(shared)}): they look like splits.",
            f"Two readings: the classes are {few(firsts)}; or they are {few(shared)}, in several parts.",
            "rename the folders train, val and test if they are splits; give one of them as --data; " + TABLE,
        )
    meant = [split_names.named(first) for first in firsts]
    rests = Counter({(one.split, one.rest) for one in meant if one})
    times = Counter(rest for _, rest in rests)
    if all(meant) and all(count > 1 for count in times.values()):  # trainA, trainB, testA, testB; no test_tube
        raise UserError(
            f"{few(firsts)}: every one of these folders is named like a split.",
            f"Two readings: the classes are {few(firsts)}; or they are splits, whose images lie in no class folders.",
            "put the images of each split into class folders (train/cat, test/cat), " + TABLE,
        )
    said = [f"{first} is read as a class, not as a split" for first in named]
    return (
        lambda parts: _Place(parts[0], parts[0], None, parts[1:-1]) if len(parts) > 1 else None,
        said,
    )


def _splits_in_classes(name: str, inner: Mapping[str, Mapping[str, Split]]) -> tuple[Placing, list[str]]:
    for first, found in inner.items():
        if len(set(found.values())) < len(found):
            raise UserError(
                f"{name}/{first} has several folders for one split: {few(sorted(found))}.",
                "",
                "keep one folder for a split, and move the others away",
            )
    names = {sub: split for found in inner.values() for sub, split in found.items()}

    def place(parts: Parts) -> _Place | None:
        if len(parts) < 3 or parts[0] not in inner or parts[1] not in names:
            return None
        return _Place("/".join(parts[:2]), parts[0], names[parts[1]], parts[2:-1])

    listed = ", ".join(f"{sub} ({split})" for sub, split in sorted(names.items()))
    return place, [f"splits from the folders inside the class folders: {listed}"]


def _subfolders(paths: Iterable[Parts]) -> dict[str, set[str]]:
    """Top folder → its subfolders with images."""
    found: dict[str, set[str]] = defaultdict(set)
    for parts in paths:
        if len(parts) > 1:
            found[parts[0]].update(parts[1:2] if len(parts) > 2 else ())
    return found


def _shared(subfolders: Mapping[str, Collection[str]]) -> list[str]:
    """The subfolders that more than half of the folders have, where there are two such, or they are most of all."""
    times = Counter(sub for subs in subfolders.values() for sub in subs)
    shared = sorted(sub for sub, count in times.items() if count > 1 and count > len(subfolders) / 2)
    return shared if len(shared) > 1 else []


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())


def _refuse_masks(name: str, labels: Collection[str]) -> None:
    kinds = {_plain(label) for label in labels}
    if len(kinds) > 1 and kinds <= IMAGES | MASKS:
        raise UserError(
            f"{name} has the folders {few(sorted(labels))}: they look like images and what belongs to them.",
            "Masks and the like are not classes, and are not read.",
            "put the images of each class into a folder, " + TABLE,
        )


def _refuse_shared(name: str, labels: Collection[str], below: Mapping[str, set[str]]) -> None:
    shared = _shared({label: below.get(label, set()) for label in labels})
    if shared:
        raise UserError(
            f"The class folders of {name} hold the same subfolders: {few(shared)}.",
            f"Two readings: the classes are {few(sorted(labels))}; or they are {few(shared)}.",
            "move the images up into the folders that are the classes; " + TABLE,
        )


def _empty_classes(
    name: str, files: Files, top: Parts, place: Placing, items: Sequence[Item], strict: bool
) -> list[str]:
    """What to say of class folders without an image.

    Raises:
        UserError: one holds files that are more than documents (or any, where ``strict``): its class would be missing.
    """

    def folder_of(path: str) -> str:
        parts = tuple(path.split("/"))
        at = place(parts[len(top) :]) if parts[: len(top)] == top and len(parts) > len(top) else None
        return "/".join((*top, at.folder)) if at else ""

    full = {folder_of(item.id) for item in items}
    held: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    remedies = {DANGLING: "bring back what the links lead to", FORBIDDEN: "make the files readable (chmod)"}
    for path, kind in files.kinds.items():
        if kind.sort != "image" and (folder := folder_of(path)) not in full:
            held[folder][kind.what].append(path)
            if strict or kind.sort != "document":
                remedies[kind.what] = kind.remedy or CONVERT
    for path, what in files.skipped:
        is_file = formats.ending(path) in formats.IMAGES or formats.ending(path) in formats.ENDINGS
        if (
            what in remedies
            and not hidden(path)
            and (folder := folder_of(path if is_file else f"{path}/x")) not in full
        ):
            held[folder][what].append(path)
    held.pop("", None)
    for folder, found in sorted(held.items()):
        if lost := [what for what in found if what in remedies]:
            raise UserError(
                f"The folder {folder} of {name} holds no image that can be read; its class would be missing.",
                f"It holds {'; '.join(str(Counted.of(what, paths)) for what, paths in found.items())}.",
                f"{remedies[lost[0]]}; or move the folder away",
            )
    bare = {at for folder in files.folders if not hidden(folder) and (at := folder_of(f"{folder}/x")) not in full}
    without = sorted((held.keys() | bare) - {""})
    return [f"folders without images: {few(without)}"] if without else []
