"""Labels from tables: CSV in its dialects, the usual names of columns, and names of files in the ways that people write
them. What a table leaves open is refused with the columns that it has.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from export.errors import UserError
from tasks.data import formats, split_names
from tasks.data.base import Split
from tasks.data.files import Files
from tasks.data.finder import Finder
from tasks.data.layout import Item, Reading, few
from tasks.data.rows import LABELS, LOOK, PATHS, Table, decoded, rows_of

ENDINGS = ("csv", "tsv", "tab", "psv", "txt")
JUNK = "junk.csv"
SPLITS = ("split", "splits", "set", "subset", "fold", "partition", "phase", "usage")
MISSING = {"nan", "<na>", "#n/a", "nat"}
"""What pandas and spreadsheets write where a cell is empty."""
BOXES = {"xmin", "ymin", "xmax", "ymax", "bbox", "bboxx", "x1", "y1", "x2", "y2", "polygon", "segmentation"}


class Unlabelled(Exception):
    """A table lists images and says nothing of what they are."""


@dataclass(frozen=True)
class Listing:
    """A table whose columns are known."""

    table: Table
    finder: Finder
    path: int
    label: int
    split: int | None


def listing(table: Table, finder: Finder) -> Listing | None:
    """Find out which column is which; None where no column names a file of the source.

    Raises:
        Unlabelled: it has no labels.
        UserError: it has several, or one-hot ones, or boxes.
    """
    columns = table.columns
    if not ({*PATHS} & {*columns} and {*LABELS} & {*columns}):
        first = [len(finder(cell)) > 0 for cell in table.header]
        if any(first):
            return _headless(table, finder, first)
    if "path" in columns:
        path = columns.index("path")
    else:
        hits = [sum(len(finder(cell)) > 0 for cell in table.cells(at)[:LOOK]) for at in range(len(columns))]
        named = sorted(
            (at for at, column in enumerate(columns) if column in PATHS),
            key=lambda at: (-hits[at], PATHS.index(columns[at])),
        )
        least = min(len(table.rows), LOOK)
        unnamed = [at for at, hit in enumerate(hits) if hit == least and least and columns[at] not in LABELS]
        if named and hits[named[0]]:
            path = named[0]
        elif unnamed:
            path = unnamed[0]
        else:
            return None
    label = _label(table, path)
    split = next((columns.index(column) for column in SPLITS if column in columns), None)
    if split is not None and columns[split] != "split" and not all(map(_split, filter(None, table.cells(split)))):
        split = None  # numbers of folds and the like
    return Listing(table, finder, path, label, split)


def _headless(table: Table, finder: Finder, first: Sequence[bool]) -> Listing:
    """A table without a header: a path and a label, in either order, and perhaps a split."""
    whole = replace(table, header=(), rows=((1, table.header), *table.rows))
    if sum(first) > 1:  # "1.jpg,1": the label may be the name of an image, too
        first = [formats.ending(cell) in formats.IMAGES for cell in table.header]
    path = first.index(True) if any(first) else 0
    rest = [at for at in range(len(first)) if at != path]
    splits = [at for at in rest if all(map(_split, whole.cells(at)))]
    if len(rest) == 2 and len(splits) == 1:
        rest.remove(splits[0])
    if len(rest) != 1 or sum(first) != 1:
        raise UserError(
            f"{table.name} has no header, and its {len(first)} columns cannot be told from one another.",
            f"Its first line is {','.join(table.header)[:120]}.",
            "a first line that names the columns: path,label or path,label,split",
        )
    return Listing(whole, finder, path, rest[0], splits[0] if len(first) == 3 else None)


def _label(table: Table, path: int) -> int:
    columns, shown = table.columns, ",".join(table.header)[:200]
    if BOXES & set(columns):
        raise UserError(
            f"{table.name} lists boxes or outlines of objects, not one label for each image.",
            f"Its columns are {shown}.",
            "a table with one row for each image: path,label",
        )
    if "label" in columns and columns.count("label") == 1:
        return columns.index("label")
    found = [at for at, column in enumerate(columns) if column in LABELS and at != path]
    if len(found) > 1:
        alike = [
            at
            for at in found
            if len({*zip(table.cells(at), table.cells(found[0]), strict=True)})
            == len({*table.cells(found[0])})
            == len({*table.cells(at)})
        ]
        if len(alike) < len(found):
            raise UserError(
                f"{table.name} has several columns that may be the label: {few([table.header[at] for at in found])}.",
                f"Its columns are {shown}.",
                "name the one that is meant: label",
            )
        found = sorted(found, key=lambda at: all(cell.isdigit() for cell in table.cells(at)))
    if found:
        return found[0]
    rest = [at for at in range(len(columns)) if at != path and columns[at] not in SPLITS]
    hot = [at for at in rest if table.rows and {*table.cells(at)} <= {"0", "1", "0.0", "1.0"}]
    if len(hot) > 1:
        raise UserError(
            f"{table.name} has one-hot columns ({few([table.header[at] for at in hot])}), not one column of labels.",
            f"Its columns are {shown}.",
            "one column label that holds the name of the class",
        )
    raise Unlabelled(f"it has no column of labels (its columns are {shown})")


def _split(text: str) -> Split | None:
    return split_names.GALLERY.get(text.lower()) or split_names.plain(text)


def read_listing(listed: Listing, split: Split | None = None) -> Reading:
    """The images of a table.

    Args:
        split: of all of them, where the table's name says it.

    Raises:
        UserError: an empty field, an unknown split, files that are not there, twice, or open.
    """
    table, finder = listed.table, listed.finder
    name, items, missing, asked = table.name, list[Item](), list[str](), list[bool]()
    finder.ways.clear()
    width = len(table.header) or len(table.rows[0][1])
    for number, row in table.rows:
        if any(cell.strip() for cell in row[width:]):
            raise UserError(
                f"{name}, line {number}: it has {len(row)} fields, and the first line {width}.",
                "A comma inside a field would cut it in two.",
                "put quotes around fields with commas, or name every column",
            )
        cells = [
            row[at].strip() if at is not None and at < len(row) else ""
            for at in (listed.path, listed.label, listed.split)
        ]
        path, label, given = cells
        if not path or not label:
            raise UserError(f"{name}, line {number}: the {'label' if path else 'path'} is empty.")
        if label.lower() in MISSING:
            raise UserError(
                f"{name}, line {number}: the label is {label}, which stands for a missing one.",
                "An image without a label cannot train or test.",
                "remove these rows, or name the class otherwise",
            )
        if given and not _split(given):
            raise UserError(
                f"{name}, line {number}: unknown split {given!r}.", "Known: train, val, test; or gallery, query."
            )
        if re.match(r"[a-zA-Z][\w+.-]*://", path):
            raise UserError(
                f"{name}, line {number}: {path} is a URL.", "Images are read from this machine.", "download them first"
            )
        found = finder(path)
        if len(found) > 1:
            raise UserError(
                f"{name}, line {number}: {path} may be any of {few(found)}.",
                "The table does not say in which folder.",
                "paths that are relative to the table, with their folders",
            )
        if not found:
            missing.append(posixpath.normpath(posixpath.join(finder.base, path)))
            continue
        items.append(Item(found[0], label, _split(given) if given else split))
        asked += [given.lower() in split_names.GALLERY] if given else []
    total = len(items) + len(missing)
    if not total:
        raise UserError(f"{name} lists no images.", "It has a header and no rows.")
    if missing:
        raise UserError(
            f"{len(missing)} of the {total} files of {name} are missing.",
            f"Paths are relative to the table. Missing: {few(missing)}.",
            "correct the paths, or remove these rows",
        )
    twice = [path for path, times in Counter(item.id for item in items).items() if times > 1]
    if twice:
        raise UserError(
            f"{name} lists {len(twice)} files more than once.",
            f"They are: {few(twice)}. An image has one label.",
            "one row for each image",
        )
    with_split = len(asked)
    if 0 < with_split < len(items):
        raise UserError(
            f"{name} gives a split for {with_split} of its {len(items)} images.",
            "Give one for all images, or for none.",
        )
    if 0 < sum(asked) < with_split:
        raise UserError(
            f"{name} mixes gallery and query with train, val or test.",
            "Splits are gallery and query, or train, val and test.",
        )
    items.sort(key=lambda item: item.id)
    return Reading(items, _notes(listed, items), unlisted=f"images that {name} does not list", gallery=any(asked))


def _notes(listed: Listing, items: Sequence[Item]) -> tuple[str, ...]:
    table = listed.table
    if table.header:
        heads = [table.header[at] for at in (listed.path, listed.label, listed.split) if at is not None]
        other = [h for at, h in enumerate(table.header) if at not in (listed.path, listed.label, listed.split) and h]
        said = f"labels from {table.name} (columns {', '.join(heads)}" + (
            f"; not read: {few(other)})" if other else ")"
        )
    else:
        said = f"labels from {table.name}, which has no header: a path and a label" + (
            " and a split" if listed.split is not None else ""
        )
    notes = [said]
    if table.encoding not in ("UTF-8",):
        notes.append(f"{table.name} is read as {table.encoding}")
    notes += [f"{count:,} files are found {way} in {table.name}" for way, count in listed.finder.ways.items()]
    return tuple(notes)


def junk_pairs(files: Files, base: str, items: Sequence[Item], gallery: bool) -> tuple[tuple[str, str], ...]:
    """What a ``junk.csv`` in the folder ``base`` says, sorted: pairs of ids that are neither right nor wrong.

    Raises:
        UserError: another header than query,gallery, an id that is no image of its side, or a set without queries.
    """
    place = posixpath.join(base, JUNK)
    if place not in files.stamps:
        return ()
    rows = rows_of(decoded(files.read(place))[0], ",", '"')
    header = [column.lower() for column in rows[0][1]] if rows else []
    if header != ["query", "gallery"]:
        first = ",".join(header) or "empty"
        raise UserError(f"{place} lacks the header query,gallery.", f"Its first line is {first}.")
    if not gallery:
        raise UserError(
            f"There is a {place}, but no gallery and queries.",
            "It names pairs of a query and a gallery image.",
            "folders gallery and query, or a table with such splits",
        )
    sides = [{item.id for item in items if item.split == split} for split in ("test", "train")]
    found = set()
    for number, row in rows[1:]:
        if len(row) != 2:
            raise UserError(f"{place}, line {number}: {len(row)} fields.", "A query and a gallery image are needed.")
        query, image = (posixpath.normpath(posixpath.join(base, name)) for name in row)
        for name, side, words in ((query, sides[0], "query"), (image, sides[1], "gallery image")):
            if name not in side:
                raise UserError(
                    f"{place}, line {number}: there is no {words} {name}.", f"Paths are relative to {JUNK}'s folder."
                )
        found.add((query, image))
    return tuple(sorted(found))
