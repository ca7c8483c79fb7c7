"""The classes that a source names in a file of its own, with the values or the colours that stand for them in masks."""

from __future__ import annotations

import csv
import json
import posixpath
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from export.errors import UserError
from tasks.data import formats
from tasks.data.files import Files

VOID = frozenset(("void", "unlabelled", "unlabeled", "ignore", "ignored", "ignore_region"))
"""Names of what is no class. "background" is one."""


@dataclass(frozen=True)
class Row:
    """A class: its name, its value in masks, and (red << 16 | green << 8 | blue) where a colour stands for it."""

    name: str
    value: int
    colour: int | None = None

    @property
    def void(self) -> bool:
        return self.name.strip(" _").casefold().replace(" ", "_") in VOID


@dataclass(frozen=True)
class Table:
    """The rows of a file, in its order.

    Attributes:
        rest_void: every value that has no row is void, as in Cityscapes' 34 ids.
    """

    file: str
    rows: tuple[Row, ...]
    rest_void: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(row.name for row in self.rows if not row.void)

    @property
    def coloured(self) -> bool:
        return all(row.colour is not None for row in self.rows)


def table(files: Files) -> Table | None:
    """The first of the files that name classes, in the order of :data:`READERS`, the one nearest the top.

    Raises:
        UserError: it cannot be read, or names a class twice.
    """
    images = [name.count("/") for name, kind in files.kinds.items() if kind.sort == "image"]
    deepest = max(min(images, default=0), 1)
    for pattern, reader in READERS.items():
        found = [
            name
            for name in files.kinds
            if re.fullmatch(pattern, posixpath.basename(name).lower()) and name.count("/") <= deepest
        ]
        for name in sorted(found, key=lambda name: (name.count("/"), name)):
            try:
                rows = reader(files.read(name).decode("utf-8-sig"))
            except (OSError, ValueError, yaml.YAMLError) as error:
                raise UserError(
                    f"{name} cannot be read as names of classes.", f"{error}".split("\n")[0], "fix it, or move it away"
                ) from error
            if rows:
                _require_unique(name, rows)
                return Table(name, tuple(rows))
    return None


def is_table(name: str) -> bool:
    """Whether a file may name classes, by its own name."""
    return any(re.fullmatch(pattern, posixpath.basename(name).lower()) for pattern in READERS)


def of_names(file: str, names: Sequence[str], first: int = 0) -> Table:
    """A table of names whose values are counted from ``first``."""
    return Table(file, tuple(Row(name, first + i) for i, name in enumerate(names)))


def _require_unique(file: str, rows: Sequence[Row]) -> None:
    names = Counter(f"name {row.name}" for row in rows)
    colours = Counter(f"colour #{row.colour:06x}" for row in rows if row.colour is not None)
    for what, times in (names + colours).items():
        if times > 1:
            raise UserError(f"{file} has the {what} twice.", "Each class has its own.", "fix it")


def _csv(text: str) -> list[Row]:
    """``name,r,g,b`` with a header."""
    lines = [[cell.strip() for cell in line] for line in csv.reader(text.splitlines()) if any(map(str.strip, line))]
    header = [cell.lower() for cell in lines[0]] if lines else []
    colours = [next((i for i, cell in enumerate(header) if cell in words), None) for words in _RGB]
    name = next((i for i, cell in enumerate(header) if cell in ("name", "class", "label", "class_name")), None)
    if name is None:
        raise ValueError("its first line has no column name")
    rows = []
    for at, line in enumerate(lines[1:]):
        red, green, blue = colours
        whole = red is not None and green is not None and blue is not None
        rows.append(Row(line[name], at, _colour(line[red], line[green], line[blue]) if whole else None))  # type: ignore[index]
    return rows


_RGB = (("r", "red"), ("g", "green"), ("b", "blue"))


def _cvat(text: str) -> list[Row]:
    """``label:r,g,b:parts:actions``; lines with # are comments."""
    rows: list[Row] = []
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, rest = line.strip().partition(":")
            numbers = rest.partition(":")[0].split(",")
            rows.append(Row(name, len(rows), _colour(*numbers) if len(numbers) == 3 else None))
    return rows


def _colours(text: str) -> list[Row]:
    """``r g b name`` or ``name r g b``, as CamVid's label_colors.txt."""
    rows: list[Row] = []
    for line in filter(str.strip, text.splitlines()):
        first = re.fullmatch(r"\s*(\d+)[\s,]+(\d+)[\s,]+(\d+)[\s,]+(.+?)\s*", line)
        last = re.fullmatch(r"\s*(.+?)[\s,:]+(\d+)[\s,]+(\d+)[\s,]+(\d+)\s*", line)
        if first:
            rows.append(Row(first[4], len(rows), _colour(*first.groups()[:3])))
        elif last:
            rows.append(Row(last[1], len(rows), _colour(*last.groups()[1:])))
        else:
            raise ValueError(f"a line is red, green, blue and a name, and not {line[:80]!r}")
    return rows


def _colour(red: Any, green: Any, blue: Any) -> int:
    parts = [int(part) for part in (red, green, blue)]
    if not all(0 <= part < 256 for part in parts):
        raise ValueError(f"a colour has three numbers from 0 to 255, and not {parts}")
    return parts[0] << 16 | parts[1] << 8 | parts[2]


def _lines(text: str) -> list[Row]:
    """A name a line; numbers before the names are taken off where they count from 0."""
    names = [line.strip() for line in text.splitlines() if line.strip()]
    if names and formats.ending(names[0].split()[0].split(",")[0]) in formats.IMAGES:  # labels of images
        return []
    numbered = [re.fullmatch(r"(\d+)\s*[:,;\t ]\s*(\S.*)", name) for name in names]
    if numbered and all(one and int(one[1]) == i for i, one in enumerate(numbered)):
        names = [one[2] for one in numbered if one]
    first = -1 if names[:1] == ["__ignore__"] else 0  # LabelMe's own, which is no value of its masks
    return [Row(name, i) for i, name in enumerate(names, first) if i >= 0]


def _ade(text: str) -> list[Row]:
    """ADE20K's objectInfo150.txt: Idx, Ratio, Train, Val, Stuff?, Name; 0 is void."""
    rows = [line.split("\t") for line in text.splitlines() if line.strip()]
    return [Row(line[-1].strip(), int(line[0])) for line in rows[1:]]


def _document(text: str) -> list[Row]:
    document = yaml.safe_load(text)
    return named(document)


def named(document: Any) -> list[Row]:
    """The classes of a YAML or JSON document: a list, or a mapping of numbers to names, under ``names`` or the like."""
    if not isinstance(document, dict):
        return []
    found = next((document[key] for key in ("names", "classes", "class_names", "id2label") if document.get(key)), None)
    if isinstance(found, list):
        return [Row(str(name), i) for i, name in enumerate(found)]
    if isinstance(found, dict):
        try:
            return sorted((Row(str(name), int(key)) for key, name in found.items()), key=lambda row: row.value)
        except (TypeError, ValueError):
            raise ValueError("its names are keyed by something that is no number") from None
    return []


READERS: dict[str, Callable[[str], list[Row]]] = {
    r".*class_dict\.csv": _csv,
    r"labelmap\.txt": _cvat,
    r"label_colou?rs?\.txt": _colours,
    r"objectinfo150\.txt": _ade,
    r"classes\.txt|class_names\.txt|labels\.txt|obj\.names|[\w-]+\.names": _lines,
    r"(data|dataset)\.ya?ml": _document,
    r"(dataset|id2label)\.json": lambda text: named(json.loads(text)),
}
"""Name of a file (lower case) → how it is read; those with colours first."""
