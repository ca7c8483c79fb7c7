"""From a path to a listed data set: a folder, an archive or a table, and by which of its readings.

The rules, which ``docs/data.md`` gives: a table that lists images of the source is read before its folders; one that
disagrees with them is refused, unless it was given itself; several tables are splits or refused.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from export.errors import UserError
from export.filetype import HEAD
from export.store import Store
from tasks.data import archives, formats, rows, split_names, tables
from tasks.data.base import Split
from tasks.data.dense.layouts import annotated, beside, foreign, unpaired
from tasks.data.dense.masks import MaskFiles
from tasks.data.dense.pairing import Listed
from tasks.data.files import Files, from_folder, readable
from tasks.data.finder import Finder
from tasks.data.folders import TABLE, read_folders, require_files
from tasks.data.layout import LAYOUTS, Item, Reading, Source, few, left_out, nearly_the_same
from tasks.data.rows import Table
from tasks.data.tables import JUNK, Listing, Unlabelled


def from_path(path: Path, store: Store) -> Source:
    """List what is at a path.

    Raises:
        UserError: it is none of a folder, an archive and a table, or cannot be read without doubt.
    """
    if path.is_dir():
        if path.resolve() == Path(path.resolve().anchor):
            raise UserError(
                f"{path} is the root of the file system.", "A data set is a folder of its own.", "--data DIR"
            )
        return from_files(os.path.basename(os.path.abspath(path)), from_folder(path))
    if not path.is_file():
        raise UserError(f"{path} is neither a file nor a folder.", "It is a pipe, a socket or a device.")
    with path.open("rb") as file:
        head = file.read(HEAD)
    ending = formats.ending(path.name)
    found = formats.of_head(head)
    if found is formats.ARCHIVE and formats.ENDINGS.get(ending) not in (formats.SHEET, formats.OFFICE, formats.ARRAYS):
        return from_files(path.name.partition(".")[0] or path.name, archives.from_archive(path, store))
    _refuse_file(path, head, ending, found)
    if ending in tables.ENDINGS or (found is formats.TEXT and ending not in formats.ENDINGS):
        return from_table(path)
    return from_files(path.name.partition(".")[0] or path.name, archives.from_archive(path, store))


def _refuse_file(path: Path, head: bytes, ending: str, found: formats.Kind | None) -> None:
    """Raise for a file that is known not to be a data set."""
    if found is formats.POINTER:
        raise UserError(f"{path} is a Git LFS pointer, not the file itself.", "", formats.POINTER.remedy)
    if found is formats.HTML:
        raise UserError(
            f"{path} is an HTML page.", "A log-in or error page was saved in its place.", "download it again"
        )
    if found is formats.EMPTY:
        raise UserError(f"{path} is empty.", "It holds no bytes.", "copy or download it again")
    is_table = ending in tables.ENDINGS
    if found is formats.IMAGE or (ending in formats.IMAGES and not is_table):
        raise UserError(
            f"{path} is a single image.", f"A data set holds images of at least two classes: {LAYOUTS}.", "--data DIR"
        )
    known = formats.ENDINGS.get(ending)
    for kind in (known, found):
        if kind and kind not in (formats.ARCHIVE, formats.TEXT, formats.TABLE):
            raise UserError(
                f"{path} is none of a folder, an archive and a CSV table.",
                f"It belongs to the {kind.what}.",
                kind.remedy or f"the layouts {LAYOUTS}",
            )


def from_files(name: str, files: Files) -> Source:
    """List the images of a folder or an archive, by annotations in it, by a table, or by its folders.

    Raises:
        UserError: there is no image, no class folder, or more than one reading.
    """
    if listed := annotated(files):
        return from_annotations(name, files, listed)
    outside: dict[str, str] = {}
    candidates, notes = _candidates(files, outside)
    try:
        by_folders, refusal = read_folders(name, files), None
    except UserError as error:
        by_folders, refusal = None, error
    if candidates:
        reading, base = _read_tables(name, candidates)
        if by_folders and by_folders.gallery and not reading.gallery:
            by_folders = None
        if by_folders:
            _require_agreement(few(sorted(candidates), 3), reading, by_folders)
            folders = sorted({item.label for item in by_folders.items} - {item.label for item in reading.items})
            notes += [f"the folders {few(folders)} are not read as classes"] if folders else []
        read = {*candidates}
    elif by_folders:
        reading, base, read = by_folders, _top(by_folders, files), set[str]()
    else:
        assert refusal is not None
        if better := unpaired(name, files) or foreign(name, files):
            raise better from refusal
        if notes := [*notes, *_annotations(files)]:
            raise UserError(refusal.what, f"{refusal.why} {few(notes)}.".strip(), refusal.remedy) from refusal
        raise refusal
    if len({item.label for item in reading.items}) < 2 and (better := unpaired(name, files) or foreign(name, files)):
        raise better
    reading = replace(reading, notes=(*reading.notes, *notes, *_annotations(files)))
    return _source(name, files, reading, base, read, outside)


def from_annotations(name: str, files: Files, listed: Listed) -> Source:
    """The images that have annotations.

    Raises:
        UserError: class folders beside them are a second reading.
    """
    require_files(name, files, [item.id for item in listed.items])
    notes, items = list(listed.notes), listed.items
    if len(only := {item.split for item in items}) == 1 and None not in only:
        items = [Item(item.id, item.label) for item in items]
        notes.append(f"all annotations are of {only.pop()}: the whole set, split here")
    try:
        others = beside(read_folders(name, files).items)
    except UserError:
        others = []
    if others and isinstance(listed.annotations, MaskFiles):
        raise UserError(
            f"{name} has {listed.layout}, and the folders {few(others)} beside them.",
            "Two readings: images with masks; or classes, one a folder.",
            f"move {few(others)} away to read the masks; " + TABLE,
        )
    if len(others) > 1:
        notes.append(f"the {listed.layout} are read; the folders {few(others)} are not read as classes")
    tables_ = [path for path, kind in files.kinds.items() if kind is formats.TABLE and path not in listed.why]
    if tables_:
        notes.append(f"the {listed.layout} are read, and not the table {tables_[0]}, which can be given itself")
    if files.foreign:
        notes.append(f"{files.foreign:,} names of files are not UTF-8, and are shown as Latin-1")
    account = left_out(files, {item.id for item in items}, listed.why, listed.unlisted)
    annotations = listed.annotations
    return Source(readable(name), items, files, notes=tuple(notes), left_out=account, annotations=annotations)


def from_table(path: Path) -> Source:
    """The images of a table that was given itself; its paths may lead anywhere on this machine.

    Raises:
        UserError: it cannot be read without doubt.
    """
    table = rows.parse(path.name, path.read_bytes())
    folder = path.parent
    stat = path.stat()
    alone = Files(
        {path.name: f"{stat.st_size} {stat.st_mtime_ns}"},
        lambda name: (folder / name).read_bytes(),
        str(folder.resolve()),
        root=folder,
    )
    outside: dict[str, str] = {}
    cells = [cell for _, row in table.rows[:50] for cell in row]
    leading_out = [cell for cell in cells if cell.startswith(("/", "../"))]
    files = alone
    if len(leading_out) < min(len(table.rows), 50) and folder.resolve() != Path(folder.resolve().anchor):
        files = from_folder(folder)
    finder = Finder(files, path.name, outside)
    try:
        listed = tables.listing(table, finder)
    except Unlabelled as error:
        raise UserError(f"{path.name} lists images without labels: {error}.", "", "a column label") from error
    if listed is None:
        listed = _guess(table, finder)
    reading = _with_folder_splits(tables.read_listing(listed))
    return _source(path.stem, files, reading, "", {path.name}, outside)


def _guess(table: Table, finder: Finder) -> Listing:
    """The columns by their names alone: no column names a file that is there, and the message says so."""
    columns = table.columns
    path = next((columns.index(column) for column in rows.PATHS if column in columns), None)
    label = next((columns.index(column) for column in rows.LABELS if column in columns), None)
    if path is None or label is None or path == label:
        raise UserError(
            f"{table.name} lacks the columns path,label[,split].",
            f"Its first line is {','.join(table.header)[:200]}, and no column names a file that is there.",
            "a first line that names the columns, and paths that are relative to the table",
        )
    return Listing(table, finder, path, label, None)


def _candidates(files: Files, outside: dict[str, str]) -> tuple[dict[str, Listing], list[str]]:
    """The tables of a source that list its images, with notes on the others that seem to."""
    found: dict[str, Listing] = {}
    notes: list[str] = []
    least = min((name.count("/") for name, kind in files.kinds.items() if kind.sort == "image"), default=0)
    for name, kind in files.kinds.items():
        if kind not in (formats.TABLE, formats.TEXT) or posixpath.basename(name) == JUNK:
            continue
        if formats.ending(name) not in tables.ENDINGS or name.count("/") > max(least, 1):
            continue
        try:
            table = rows.parse(name, files.read(name))
        except UserError:
            notes += [f"{name} is not read: it has no columns of paths and labels"] if kind is formats.TABLE else []
            continue
        except OSError:
            continue
        if formats.ending(name) == "txt" and not _lists(table, files):
            continue
        finder = Finder(files, name, outside)
        try:
            listed = tables.listing(table, finder)
        except Unlabelled as error:
            notes.append(f"{name} is not read: {error}")
            continue
        if listed is None:
            if kind is formats.TABLE:
                notes.append(f"{name} is not read: no column names images that are here")
        elif "submission" in name.lower():
            notes.append(f"{name} is not read: it is a form for predictions, by its name")
        else:
            found[name] = listed
    return found, notes


def _lists(table: Table, files: Files) -> bool:
    """Whether the first row of a text file names one of the files, as a list does and prose does not."""
    base = posixpath.dirname(table.name)
    row = table.rows[0][1] if table.rows else table.header
    return any(posixpath.normpath(posixpath.join(base, cell.replace("\\", "/"))) in files.stamps for cell in row)


def _read_tables(name: str, candidates: Mapping[str, Listing]) -> tuple[Reading, str]:
    """The reading of one table, or of several that are splits; and the folder that it is relative to."""
    if len(candidates) == 1:
        (place, listed), *_ = candidates.items()
        return _with_folder_splits(tables.read_listing(listed)), posixpath.dirname(place)
    splits: dict[str, Split | None] = {}
    for place in candidates:
        own = split_names.named(posixpath.basename(place).rpartition(".")[0])
        above = split_names.named(posixpath.basename(posixpath.dirname(place)))
        splits[place] = own.split if own else above.split if above else None
    if None in splits.values() or len(set(splits.values())) < len(splits):
        raise UserError(
            f"{name} has {len(candidates)} tables that list images: {few(sorted(candidates))}.",
            "Several tables are read together only as splits: train.csv, val.csv, test.csv.",
            f"give the one that is meant: --data DIR/{min(candidates)}; or move the others away",
        )
    own_splits = [place for place, listed in candidates.items() if listed.split is not None]
    if own_splits:
        raise UserError(
            f"{name} has tables for its splits ({few(sorted(candidates))}); {few(own_splits)} has a column of splits.",
            "",
            f"give the one that is meant: --data DIR/{own_splits[0]}",
        )
    readings = {place: tables.read_listing(listed, splits[place]) for place, listed in candidates.items()}
    seen: dict[str, str] = {}
    for place, reading in readings.items():
        for item in reading.items:
            if item.id in seen:
                raise UserError(
                    f"{item.id} is listed in {seen[item.id]} and in {place}.",
                    "The tables are read as splits, and an image is in one split.",
                    "remove it from one of them",
                )
            seen[item.id] = place
    said = "splits from the tables " + ", ".join(f"{place} ({split})" for place, split in splits.items())
    items = sorted((item for reading in readings.values() for item in reading.items), key=lambda item: item.id)
    notes = (said, *(note for reading in readings.values() for note in reading.notes))
    return Reading(items, notes, unlisted="images that no table lists"), posixpath.dirname(min(candidates))


def _with_folder_splits(reading: Reading) -> Reading:
    """Where a table gives no splits, and its images lie in folders that are named like splits: those."""
    if any(item.split for item in reading.items):
        return reading
    paths = [item.id.split("/") for item in reading.items]
    depth = 0
    while all(len(path) > depth + 2 for path in paths) and len({path[depth] for path in paths}) == 1:
        depth += 1
    found = [split_names.plain(path[depth]) if len(path) > depth + 1 else None for path in paths]
    if None in found or len(set(found)) < 2:
        return reading
    items = [replace(item, split=split) for item, split in zip(reading.items, found, strict=True)]
    named = sorted({path[depth] for path in paths})
    return replace(reading, items=items, notes=(*reading.notes, f"splits from the folders {', '.join(named)}"))


def _require_agreement(table: str, reading: Reading, folders: Reading) -> None:
    """Raise where a table and the class folders give different labels, or the table has but a small part."""
    by_folder = {item.id: item.label for item in folders.items}
    labels, names = {item.label for item in reading.items}, set(by_folder.values())
    shared = [item for item in reading.items if item.id in by_folder]
    differ = [item for item in shared if item.label != by_folder[item.id]]
    remedy = f"give the table itself (--data DIR/{table.split(',')[0]}), or move it away to read the folders"
    if differ and labels & names and len(names) > 1:
        one = differ[0]
        raise UserError(
            f"{table} disagrees with the class folders on {len(differ):,} of {len(shared):,} images.",
            f"{one.id} has the label {one.label!r} in the table, and lies in the class folder {by_folder[one.id]!r}.",
            remedy,
        )
    _require_same_splits(table, shared, folders, remedy)
    if len(shared) < len(by_folder) / 2 and len(names) > 1 and labels & names:
        raise UserError(
            f"{table} lists {len(shared):,} of the {len(by_folder):,} images in class folders.",
            "Two readings: the images of the table alone; or all images, with their folders as classes.",
            remedy,
        )


def _require_same_splits(table: str, listed: Sequence[Item], folders: Reading, remedy: str) -> None:
    """Raise where a table moves images to another split than their folder's, or leaves a whole split out."""
    by_folder = {item.id: item.split for item in folders.items if item.split}
    moved = [item for item in listed if item.split and item.id in by_folder and item.split != by_folder[item.id]]
    if moved:
        one = moved[0]
        raise UserError(
            f"{table} disagrees with the folders on the split of {len(moved):,} of {len(listed):,} images.",
            f"{one.id} is {one.split} in the table, and lies in the folder of {by_folder[one.id]}.",
            remedy,
        )
    lost = sorted({*by_folder.values()} - {by_folder.get(item.id) for item in listed} - {None}, key=str)
    if lost and listed:
        raise UserError(
            f"{table} lists no image of the split {' and '.join(map(str, lost))}, which the folders have.",
            "Two readings: the images of the table alone; or all images, with the folders' classes and splits.",
            remedy,
        )


def _top(reading: Reading, files: Files) -> str:
    """The folder that a ``junk.csv`` would be in: the one above splits."""
    places = sorted(
        (name for name in files.stamps if posixpath.basename(name) == JUNK), key=lambda name: name.count("/")
    )
    first = [item.id for item in reading.items[:1]]
    return (
        next((base for place in places if first[0].startswith(base := posixpath.dirname(place))), "") if first else ""
    )


def _annotations(files: Files) -> list[str]:
    """Notes on files that hold labels of another kind."""
    notes = []
    jsons = [name for name, kind in files.kinds.items() if kind is formats.JSON]
    xmls = [name for name, kind in files.kinds.items() if kind is formats.XML]
    for name in jsons[:3]:
        if re.search(rb'"(annotations|categories|licenses)"\s*:', _start(files, name)):
            notes.append(
                f"{name} looks like COCO annotations of objects: they are not labels of whole images, and not read"
            )
    if xmls and b"<annotation" in _start(files, xmls[0]):
        notes.append(
            f"{xmls[0]} looks like Pascal VOC annotations of objects: they are not labels of whole images, and not read"
        )
    texts = [name for name, kind in files.kinds.items() if kind is formats.TEXT and name.endswith(".txt")]
    if texts and re.match(rb"\d+( -?\d*\.\d+){4,}", _start(files, texts[0])):
        notes.append(
            f"{texts[0]} looks like YOLO's boxes of objects: they are not labels of whole images, and not read"
        )
    return notes


def _start(files: Files, name: str) -> bytes:
    try:
        return files.first_bytes(name)[:HEAD]
    except OSError:
        return b""


def _source(name: str, files: Files, reading: Reading, base: str, read: set[str], outside: Mapping[str, str]) -> Source:
    """The listed data set, with its account of every file."""
    if outside:
        files = replace(files, stamps={**files.stamps, **outside})
    items: Sequence[Item] = reading.items
    junk = tables.junk_pairs(files, base, items, reading.gallery)
    taken = {item.id for item in items}
    why = dict(reading.why or {})
    account = left_out(files, taken, why | dict.fromkeys(read, "table, read for the labels"), reading.unlisted)
    notes = (*reading.notes, *nearly_the_same(item.label for item in items))
    if files.foreign:
        notes += (f"{files.foreign:,} names of files are not UTF-8, and are shown as Latin-1",)
    return Source(readable(name), items, files, notes=notes, left_out=account, gallery=reading.gallery, junk=junk)
