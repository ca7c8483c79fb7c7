"""From files to labelled images: class folders, folders of splits, or a table of path,label[,split].

Only names are looked at here; no image is opened.
"""

from __future__ import annotations

import csv
import posixpath
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from export.errors import UserError
from tasks.data.base import Counted, Split
from tasks.data.files import Files, is_image

SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
GALLERY_NAMES: dict[str, Split] = {"gallery": "train", "query": "test", "queries": "test"}
"""What is searched and what is looked for: the gallery is train, the queries are test, and nothing is val."""
JUNK = "junk.csv"
LAYOUTS = (
    "DIR/class/image.jpg, DIR/{train,val,test}/class/image.jpg, DIR/{gallery,query}/class/image.jpg, "
    "or a CSV with the header path,label[,split]"
)


@dataclass(frozen=True)
class Item:
    """An image as it is listed: not yet opened. ``split`` is None where the source gives none."""

    id: str
    label: str
    split: Split | None = None


@dataclass(frozen=True)
class Source:
    """A data set as it is listed.

    Attributes:
        items: every labelled image, once.
        notes: what a user should know of how it was read.
        left_out: every file of the source that is no item, by reason.
        classes: names in label order, where the source has an order; else they are sorted.
        published: the name under which everybody knows the set; empty where it is the user's own.
        gallery: it was given as gallery and queries, for retrieval: no val is carved out of it.
        junk: pairs of a query's id and a gallery image's that are neither right nor wrong.
    """

    name: str
    items: Sequence[Item]
    files: Files
    licence: str = ""
    notes: tuple[str, ...] = ()
    left_out: tuple[Counted, ...] = ()
    classes: tuple[str, ...] = ()
    published: str = ""
    gallery: bool = False
    junk: tuple[tuple[str, str], ...] = ()


def from_files(name: str, files: Files) -> Source:
    """Find out the layout of ``files`` and list its images.

    Raises:
        UserError: there is no image, no class folder, or a table that cannot be read.
    """
    if table := _table_in(files):
        return from_table(name, files, files.read(table).decode("utf-8-sig", "replace"), table)
    images = [path for path in files.stamps if is_image(path)]
    if not images:
        raise UserError(f"{name} holds no images.", f"Looked for the layouts {LAYOUTS}.")
    top = _common_folder(images)
    parts = {path: path[len(top) :].split("/") for path in images}
    first = {p[0] for p in parts.values() if len(p) > 1}
    splits, gallery = _split_folders(first)
    depth = 2 if splits else 1
    notes: list[str] = []
    if splits and (ignored := sorted(first - splits.keys())):
        notes.append(f"folders beside the splits are left out: {few(ignored)}")
    items, loose = [], 0
    for path, p in sorted(parts.items()):
        if len(p) <= depth:
            loose += 1
        elif not splits:
            items.append(Item(path, p[0]))
        elif p[0] in splits:
            items.append(Item(path, p[1], splits[p[0]]))
    if not items:
        raise UserError(f"The {len(images)} images of {name} are not in class folders.", f"The layouts are {LAYOUTS}.")
    if loose:
        notes.append(f"{loose} images that lie outside the class folders are left out")
    empty = [folder for folder in files.folders if folder.startswith(top) and folder[len(top) :].count("/") < depth]
    if empty:
        notes.append(f"folders without images: {few(sorted(empty))}")
    return Source(name, items, files, notes=tuple(notes), gallery=gallery, junk=junk_pairs(files, top, items, gallery))


def from_table(name: str, files: Files, text: str, table: str) -> Source:
    """List the images of a CSV ``path,label[,split]``; paths are relative to the table's own folder.

    Raises:
        UserError: another header, an empty field, an unknown split, or files that are not there.
    """
    rows = csv.DictReader(text.splitlines())
    header = [column.strip().lower() for column in rows.fieldnames or []]
    if not {"path", "label"} <= set(header):
        raise UserError(
            f"{table} lacks the header path,label[,split].", f"Its first line is {','.join(header) or 'empty'}."
        )
    rows.fieldnames = header
    base, items = posixpath.dirname(table), []
    known, asked = SPLIT_NAMES | GALLERY_NAMES, list[str]()
    for number, row in enumerate(rows, 2):
        path, label, split = ((row.get(column) or "").strip() for column in ("path", "label", "split"))
        if not path or not label:
            raise UserError(f"{table}, line {number}: the {'label' if path else 'path'} is empty.")
        if split and split.lower() not in known:
            raise UserError(
                f"{table}, line {number}: unknown split {split!r}.", "Known: train, val, test; or gallery, query."
            )
        place = posixpath.normpath(posixpath.join(base, path))
        items.append(Item(place, label, known[split.lower()] if split else None))
        asked += [split.lower()] if split.lower() in GALLERY_NAMES else []
    if not items:
        raise UserError(f"{table} lists no images.", "It has a header and no rows.")
    missing = [item.id for item in items if item.id not in files.stamps]
    if missing:
        raise UserError(
            f"{len(missing)} of the {len(items)} files of {table} are missing.",
            f"Paths are relative to the table. Missing: {few(missing)}.",
        )
    twice = [path for path, times in Counter(item.id for item in items).items() if times > 1]
    if twice:
        raise UserError(f"{table} lists {len(twice)} files more than once.", f"They are: {few(twice)}.")
    with_split = sum(item.split is not None for item in items)
    if 0 < with_split < len(items):
        raise UserError(
            f"{table} gives a split for {with_split} of its {len(items)} images.",
            "Give one for all images, or for none.",
        )
    if 0 < len(asked) < with_split:
        raise UserError(
            f"{table} mixes gallery and query with train, val or test.",
            "Splits are gallery and query, or train, val and test.",
        )
    items.sort(key=lambda item: item.id)
    return Source(name, items, files, gallery=bool(asked), junk=junk_pairs(files, base, items, bool(asked)))


def from_csv(path: Path) -> Source:
    """A CSV on disk; its paths may be absolute.

    Raises:
        UserError: as :func:`from_table`.
    """
    text = path.read_text("utf-8-sig", "replace")
    stamps: dict[str, str] = {}
    for row in csv.reader(text.splitlines()):
        for field in row:  # any column may be the path: the others name no file
            name = posixpath.normpath(field.strip())
            try:
                stat = (path.parent / name).stat()
            except (OSError, ValueError):
                continue
            stamps[name] = f"{stat.st_size} {stat.st_mtime_ns}"
    if (path.parent / JUNK).is_file():
        stamps[JUNK] = ""
    files = Files(stamps, lambda name: (path.parent / name).read_bytes(), str(path.parent.resolve()))
    return from_table(path.stem, files, text, path.name)


def junk_pairs(files: Files, base: str, items: Sequence[Item], gallery: bool) -> tuple[tuple[str, str], ...]:
    """What a ``junk.csv`` in the folder ``base`` says, sorted: pairs of ids that are neither right nor wrong.

    Raises:
        UserError: another header than query,gallery, an id that is no image of its side, or a set without queries.
    """
    place = posixpath.join(base, JUNK)
    if place not in files.stamps:
        return ()
    rows = csv.reader(files.read(place).decode("utf-8-sig", "replace").splitlines())
    header = [column.strip().lower() for column in next(rows, [])]
    if header != ["query", "gallery"]:
        first = ",".join(header) or "empty"
        raise UserError(f"{place} lacks the header query,gallery.", f"Its first line is {first}.")
    if not gallery:
        raise UserError(f"There is a {place}, but no gallery and queries.", f"The layouts are {LAYOUTS}.")
    sides = [{item.id for item in items if item.split == split} for split in ("test", "train")]
    found = set()
    for number, row in enumerate(rows, 2):
        if len(row) != 2:
            raise UserError(f"{place}, line {number}: {len(row)} fields.", "A query and a gallery image are needed.")
        query, image = (posixpath.normpath(posixpath.join(base, name.strip())) for name in row)
        for name, side, words in ((query, sides[0], "query"), (image, sides[1], "gallery image")):
            if name not in side:
                raise UserError(
                    f"{place}, line {number}: there is no {words} {name}.", f"Paths are relative to {JUNK}'s folder."
                )
        found.add((query, image))
    return tuple(sorted(found))


def _split_folders(folders: Iterable[str]) -> tuple[dict[str, Split], bool]:
    """Which of the top folders are splits (none unless two different ones are there); whether those of a gallery."""
    for names in (GALLERY_NAMES, SPLIT_NAMES):
        found = {folder: names[folder.lower()] for folder in folders if folder.lower() in names}
        if len(set(found.values())) > 1:
            return found, names is GALLERY_NAMES
    return {}, False


def _table_in(files: Files) -> str | None:
    """A CSV at the top that says path,label; any other CSV is none of our business."""
    tops = [name for name in files.stamps if name.lower().endswith(".csv") and name.count("/") <= 1]
    for name in sorted(tops, key=lambda name: (name.count("/"), name)):
        head = files.read(name)[:1000].decode("utf-8-sig", "replace").partition("\n")[0]
        if {"path", "label"} <= {column.strip().lower() for column in head.split(",")}:
            return name
    return None


def _common_folder(images: Iterable[str]) -> str:
    """The single top folder that holds everything ("" or "name/"), as archives have it; never a class folder."""
    tops = {path.partition("/")[0] if "/" in path else "" for path in images}
    if len(tops) == 1 and (top := tops.pop()) and any(path.count("/") > 1 for path in images):
        return f"{top}/"
    return ""


def few(names: Sequence[str], shown: int = 5) -> str:
    """Some of the names, for a message."""
    return ", ".join(names[:shown]) + (f" … ({len(names)} in all)" if len(names) > shown else "")
