"""YOLO's text files: one an image, one object a line, coordinates as parts of the picture's width and height.

``class cx cy w h`` is a box, ``class x1 y1 x2 y2 x3 y3 …`` an outline (Ultralytics' formats). ``data.yaml`` may name
the classes and say where the splits lie.
"""

from __future__ import annotations

import math
import posixpath
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from export.errors import UserError
from tasks.data import formats, split_names
from tasks.data.base import SPLITS, Counted, Split
from tasks.data.dense import class_names
from tasks.data.dense.objects import Annotated, Found, ObjectFiles
from tasks.data.dense.pairing import ELSEWHERE, Listed, Pairs, divided, finder, fold, pictures, place
from tasks.data.files import Files
from tasks.data.layout import Item, few

UNLABELLED = "images of a split that has no label files"
LOST = "label files whose image is not there"
_NUMBERS = re.compile(rb"\s*\d+(\.0*)?([ \t]+[-+]?[\d.]+(e[-+]?\d+)?){4,}\s*(\n|\r|$)", re.IGNORECASE)


def listed(files: Files) -> Listed | None:
    """The images of a YOLO folder; None where no label file belongs to an image of the source.

    Raises:
        UserError: a file is damaged or contradicts another.
    """
    if not any(kind is formats.TEXT and formats.ending(name) == "txt" for name, kind in files.kinds.items()):
        return None
    images = pictures(path for path, kind in files.kinds.items() if kind.sort == "image")
    settings = _settings(files)
    labels, lost = _labels(files, images)
    if not labels:
        return None
    notes: list[str] = []
    items, why, said = _items(files, images, settings, labels)
    notes += said
    objects = {item.id: _objects(labels[item.id], files) if item.id in labels else [] for item in items}
    classes = _classes(files, settings, objects, notes)
    if bare := [item.id for item in items if item.id not in labels]:
        notes.append(str(Counted.of("images without a label file: read as images without objects", bare)))
    shapes = [one.shape is not None for those in objects.values() for one in those]
    if any(shapes) and not all(shapes):
        notes.append(f"{len(shapes) - sum(shapes):,} of {len(shapes):,} objects have no shape: all are read as boxes")
    if lost:
        notes.append(str(Counted.of(LOST, lost)))
    why |= dict.fromkeys(labels.values(), "annotations, read for the objects") | dict.fromkeys(lost, LOST)
    table = class_names.table(files)
    why |= {table.file: "names of classes, read"} if table and not settings else {}
    why |= dict.fromkeys(settings, "settings of the data set, read")
    return Listed(
        "YOLO annotations",
        items,
        ObjectFiles(
            classes,
            {path: Annotated(those, labels.get(path, path), fractions=True) for path, those in objects.items()},
            bool(shapes) and all(shapes),
        ),
        why,
        tuple(notes),
        "images that are in no split",
    )


def _labels(files: Files, images: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Image → its label file; and the files of a labels folder that have no image."""
    pairs = Pairs(images)
    found: dict[str, str] = {}
    lost, some = [], False
    for name, kind in files.kinds.items():
        if kind is not formats.TEXT or formats.ending(name) != "txt" or class_names.is_table(name):
            continue
        those = pairs(name, alone=place(name).role == "labels")
        those = [path for path in those if fold(_stem(path)) == fold(_stem(name))]
        if len(those) > 1:
            raise UserError(
                f"{name} belongs to several images: {few(those)}.", "A label file is of one.", "rename them"
            )
        if not those:
            lost += [name] if place(name).role == "labels" else []
            continue
        if those[0] in found:
            raise UserError(
                f"{those[0]} has several label files: {found[those[0]]} and {name}.", "", "move away all but one"
            )
        found[those[0]] = name
        some = some or bool(_NUMBERS.match(_start(files, name)))
    return (found, lost) if some else ({}, [])


def _start(files: Files, name: str) -> bytes:
    try:
        return files.first_bytes(name)
    except OSError:
        return b""


def _stem(path: str) -> str:
    return posixpath.splitext(posixpath.basename(path))[0]


def _settings(files: Files) -> dict[str, dict[str, Any]]:
    """The YAML files of the top that name classes or splits, by name."""
    found = {}
    for name in files.kinds:
        if formats.ending(name) in ("yaml", "yml") and name.count("/") <= 1:
            try:
                document = yaml.safe_load(files.read(name).decode("utf-8-sig"))
            except (OSError, ValueError, yaml.YAMLError):
                continue
            if isinstance(document, dict) and document.get("names") and ("train" in document or "val" in document):
                found[name] = document
    if len(found) > 1:
        raise UserError(f"Several files give classes and splits: {few(list(found))}.", "", "move away all but one")
    return found


def _items(
    files: Files, images: Sequence[str], settings: Mapping[str, Mapping[str, Any]], labels: Mapping[str, str]
) -> tuple[list[Item], dict[str, str], list[str]]:
    splits, why, notes = _given(files, images, settings)
    if splits:
        items = [Item(path, "", splits[path]) for path in sorted(splits)]
        why |= dict.fromkeys((path for path in images if path not in splits), ELSEWHERE)
    else:
        items, elsewhere, said = divided(sorted(images))
        why |= elsewhere
        notes += said
    for split in {item.split for item in items}:
        those = [item for item in items if item.split == split]
        if split and not any(item.id in labels for item in those):
            items = [item for item in items if item.split != split]
            why |= dict.fromkeys((item.id for item in those), UNLABELLED)
            notes.append(f"{split} has no label files: its {len(those):,} images are left out")
    return items, why, notes


def _given(
    files: Files, images: Sequence[str], settings: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, Split], dict[str, str], list[str]]:
    """Image → the split that settings or lists (``train.txt``) name; empty where they name fewer than two."""
    parts: dict[Split, set[str]] = defaultdict(set)
    origin = ""
    why: dict[str, str] = {}
    for name, document in settings.items():
        origin = name
        for split in SPLITS:
            written = document.get(split)
            for one in written if isinstance(written, list) else [written] if written else []:
                parts[split] |= {*_meant(files, images, str(one), str(document.get("path") or ""), name, why)}
    if sum(map(bool, parts.values())) < 2:
        parts.clear()
        for name in files.kinds:
            meant = split_names.plain(_stem(name))
            here = formats.ending(name) == "txt" and name.count("/") <= 1
            if here and meant and (listed_ := _lines(files, images, name)):
                parts[meant] |= {*listed_}
                why[name] = "lists of splits, read"
        origin = "lists of images"
    for split in [split for split, those in parts.items() if not those]:
        del parts[split]
    if len(parts) < 2:
        return {}, {}, []
    every = list(parts.values())
    if all(one == every[0] for one in every):
        return {}, why, [f"{origin} gives the same images for {' and '.join(parts)}: the splits are made here"]
    splits: dict[str, Split] = {}
    for split, those in parts.items():
        for path in those:
            if splits.setdefault(path, split) != split:
                raise UserError(
                    f"{path} is in {splits[path]} and in {split}, by {origin}.", "An image is in one split.", "fix it"
                )
    return splits, why, [f"splits from {origin}"]


def _meant(files: Files, images: Sequence[str], written: str, base: str, name: str, why: dict[str, str]) -> list[str]:
    """The images of a folder or a list as the settings write it, wherever the whole once lay."""
    here = posixpath.dirname(name)
    written = written.replace("\\", "/")
    for joined in (posixpath.join(base.replace("\\", "/"), written), written):
        parts = [part for part in posixpath.normpath(joined).split("/") if part not in ("", ".", "..")]
        for cut in range(len(parts)):
            end = "/".join(filter(None, (here, *parts[cut:])))
            if end in files.kinds and formats.ending(end) == "txt":
                why[end] = "lists of splits, read"
                return _lines(files, images, end)
            if found := [path for path in images if path.startswith(f"{end}/")]:
                return found
    return []


def _lines(files: Files, images: Sequence[str], name: str) -> list[str]:
    """The images that a list names, one a line."""
    find = finder(files, name)
    here = {*images}
    found = []
    for line in files.read(name).decode("utf-8", "replace").splitlines():
        written = re.sub(r"^(\w:)?[\\/]+", "", line.strip())
        parts = re.split(r"[\\/]", written)
        for cut in range(len(parts)) if written else ():
            if len(paths := [path for path in find("/".join(parts[cut:])) if path in here]) == 1:
                found.append(paths[0])
                break
    return found


def _objects(name: str, files: Files) -> list[Found]:
    found = []
    text = files.read(name).decode("utf-8-sig", "replace")
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        where = f"{name}, line {number}"
        try:
            label, *rest = (float(word) for word in line.split())
        except ValueError as error:
            raise UserError(
                f"{where} is no object: {line.strip()[:80]!r}.", "A line is a class and numbers.", "fix or remove it"
            ) from error
        if not math.isfinite(label) or label < 0 or label != int(label):
            raise UserError(f"{where} begins with {label}, which is no class number.", "", "fix or remove it")
        if len(rest) == 4:
            x, y, w, h = rest
            found.append(Found(int(label), (x - w / 2, y - h / 2, x + w / 2, y + h / 2), where))
        elif len(rest) == 5:
            raise UserError(
                f"{where} has six numbers: a box and a confidence.",
                "These are predictions, and not annotations.",
                "label files of people's boxes",
            )
        elif len(rest) >= 6 and len(rest) % 2 == 0:
            found.append(Found(int(label), _extent(rest), where, shape=[rest]))
        else:
            raise UserError(
                f"{where} has {1 + len(rest)} numbers.",
                "A line is class cx cy w h, or class x1 y1 x2 y2 x3 y3 …",
                "fix or remove it",
            )
    return found


def _extent(outline: Sequence[float]) -> tuple[float, float, float, float]:
    return min(outline[::2]), min(outline[1::2]), max(outline[::2]), max(outline[1::2])


def _classes(
    files: Files,
    settings: Mapping[str, Mapping[str, Any]],
    objects: Mapping[str, Sequence[Found]],
    notes: list[str],
) -> tuple[str, ...]:
    """The names of the settings, else of a class file, else numbers.

    Raises:
        UserError: an object has a class that they do not name.
    """
    table = None
    for name, document in settings.items():
        if document.get("kpt_shape"):
            raise UserError(f"{name} is of key points.", "Key points are not read.", "export boxes or outlines")
        try:
            rows = class_names.named(document)
        except ValueError as error:
            raise UserError(f"{name} cannot be read: {error}.", "", "fix it") from error
        table = class_names.Table(name, tuple(rows))
    table = table or class_names.table(files)
    seen = {one.label: one.where for those in objects.values() for one in those}
    if table is None:
        notes.append("no file names the classes: they are numbers")
        return tuple(str(i) for i in range(max(seen, default=0) + 1))
    if [row.value for row in table.rows] != list(range(len(table.rows))):
        raise UserError(f"{table.file} names classes with gaps.", "Their numbers count from 0.", "fix it")
    unknown = {label: where for label, where in seen.items() if not 0 <= label < len(table.rows)}
    if unknown:
        label = max(unknown)
        raise UserError(
            f"{unknown[label]} has the class {label}; {table.file} names {len(table.rows)}.",
            f"They are {few([f'{row.value} {row.name}' for row in table.rows])}; numbers count from 0.",
            f"add its name to {table.file}, or fix the label files",
        )
    notes.append(f"classes from {table.file}")
    return tuple(row.name for row in table.rows)
