"""Pascal VOC's XML: one file an image, with boxes of objects.

Corners are 1-based and inclusive, as the devkit has them: the first pixel's box is 1, 1, 1, 1. In continuous
coordinates that is xmin - 1, ymin - 1, xmax, ymax. Where a box of the set begins at 0, the writer counted from 0, and
all corners are taken as they are.
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from export.errors import UserError
from tasks.data import formats
from tasks.data.base import Counted, Split
from tasks.data.dense import class_names
from tasks.data.dense.objects import Annotated, Found, ObjectFiles
from tasks.data.dense.pairing import Listed, Pairs, divided, finder, fold, pictures
from tasks.data.files import Files
from tasks.data.layout import Item, few

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

NO_LIST = "images that no list of a split names"


@dataclass(frozen=True)
class _Object:
    name: str
    corners: tuple[float, float, float, float]
    where: str
    difficult: bool


@dataclass(frozen=True)
class _Page:
    """One XML file."""

    name: str
    objects: Sequence[_Object]
    size: tuple[int, int] | None


def listed(files: Files) -> Listed | None:
    """The images with an XML file; None where no such file belongs to an image of the source.

    Raises:
        UserError: a file is damaged or contradicts itself or another.
    """
    xmls = {
        path: root
        for path, kind in files.kinds.items()
        if kind is formats.XML and (root := _root(path, files)) is not None
    }
    if not xmls:
        return None
    images = pictures(path for path, kind in files.kinds.items() if kind.sort == "image")
    pairs = Pairs(images)
    find = finder(files, "")
    pages: dict[str, _Page] = {}
    lost, notes = [], list[str]()
    for name, root in xmls.items():
        found = pairs(name)
        if not found and (written := (root.findtext("filename") or "").strip()):
            found = [path for path in find(re.split(r"[\\/]", written)[-1]) if path in images]
        if len(found) > 1:
            raise UserError(
                f"{name} belongs to several images: {few(found)}.", "An annotation file is of one image.", "rename them"
            )
        if not found:
            lost.append(name)
        elif found[0] in pages:
            raise UserError(
                f"{found[0]} has several annotation files: {pages[found[0]].name} and {name}.",
                "",
                "move away all but one",
            )
        else:
            pages[found[0]] = _page(name, root)
    if not pages:
        return None
    if lost:
        notes.append(str(Counted.of("annotation files whose image is not there", lost)))
    classes = _classes(files, pages, notes)
    items, why, said = _items(files, list(pages))
    why |= {page.name: "annotations, read for the objects" for page in pages.values()}
    why |= dict.fromkeys(lost, "annotation files whose image is not there")
    return Listed(
        "Pascal VOC annotations",
        items,
        ObjectFiles(classes, _annotated(pages, classes, notes), shaped=False),
        why,
        (*notes, *said),
        "images without an annotation file",
    )


def _root(name: str, files: Files) -> Element | None:
    """The root of a VOC file; None of any other XML."""
    from xml.etree import ElementTree

    try:
        data = files.read(name)
    except OSError:
        return None
    if not re.search(rb"<annotation[\s>]", data):
        return None
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise UserError(
            f"{name} looks like a Pascal VOC annotation, and cannot be read.",
            f"It is damaged or cut off: {error}.",
            "make or download it again; or move it away",
        ) from error
    return (
        root
        if root.tag == "annotation" and (root.find("object") is not None or root.find("size") is not None)
        else None
    )


def _page(name: str, root: Element) -> _Page:
    objects = []
    for at, one in enumerate(root.findall("object"), 1):
        where = f"{name}, object {at}"
        label = (one.findtext("name") or "").strip()
        box = one.find("bndbox")
        if not label or box is None:
            raise UserError(f"{where} lacks a name or a bndbox.", "", "fix or remove it")
        try:
            x1, y1, x2, y2 = (float(box.findtext(corner) or "") for corner in ("xmin", "ymin", "xmax", "ymax"))
        except ValueError as error:
            raise UserError(f"{where} has a bndbox without four numbers.", f"{error}.", "fix or remove it") from error
        difficult = (one.findtext("difficult") or "0").strip() not in ("0", "")
        objects.append(_Object(label, (x1, y1, x2, y2), where, difficult))
    try:
        height, width = (int(float(root.findtext(f"size/{side}") or 0)) for side in ("height", "width"))
    except ValueError:
        height = width = 0
    return _Page(name, objects, (height, width) if height and width else None)


def _annotated(pages: Mapping[str, _Page], classes: Sequence[str], notes: list[str]) -> dict[str, Annotated]:
    zero = [one.where for page in pages.values() for one in page.objects if min(one.corners[:2]) == 0]
    first = 0 if zero else 1
    if zero:
        notes.append(f"corners count from 0 and are taken as they are: {Counted.of('boxes begin at 0', zero)}")
    else:
        notes.append("corners count from 1, and include their pixels: xmin − 1, ymin − 1, xmax, ymax")
    if unsized := [page.name for page in pages.values() if page.size is None]:
        notes.append(str(Counted.of("annotation files without the size of their image", unsized)))
    if hard := [one.where for page in pages.values() for one in page.objects if one.difficult]:
        notes.append(str(Counted.of("difficult objects: neither right nor wrong to find", hard)))
    number = {name: i for i, name in enumerate(classes)}
    return {
        path: Annotated(
            [
                Found(number[one.name], (x1 - first, y1 - first, x2, y2), one.where, one.difficult)
                for one in page.objects
                for x1, y1, x2, y2 in (one.corners,)
            ],
            page.name,
            page.size,
        )
        for path, page in pages.items()
    }


def _classes(files: Files, pages: Mapping[str, _Page], notes: list[str]) -> tuple[str, ...]:
    """The names of a class file that has them all, in its order; else those of the objects, sorted."""
    here = sorted({one.name for page in pages.values() for one in page.objects})
    table = class_names.table(files)
    if table and {*here} <= {*table.names}:
        notes.append(f"classes from {table.file}")
        return table.names
    return tuple(here)


def split_lists(files: Files, folder: str) -> dict[Split, tuple[str, list[str]]]:
    """Split → (file, the stems that it lists), of ``ImageSets/FOLDER/{train,val,test,trainval}.txt``."""
    found: dict[str, tuple[str, list[str]]] = {}
    for name in files.kinds:
        base = posixpath.basename(name)
        if f"/{name}".casefold().endswith(f"/imagesets/{folder}/{base}".casefold()):
            lines = files.read(name).decode("utf-8", "replace").splitlines()
            found[fold(base)] = (name, [fold(line.split()[0]) for line in lines if line.strip()])
    if "train.txt" not in found and "trainval.txt" in found:
        name, both = found["trainval.txt"]
        val = {*found["val.txt"][1]} if "val.txt" in found else set()
        found["train.txt"] = name, [stem for stem in both if stem not in val]
    lists = {"train": found.get("train.txt"), "val": found.get("val.txt"), "test": found.get("test.txt")}
    return {split: listed for split, listed in lists.items() if listed and listed[1]}  # type: ignore[misc]


def by_lists(
    lists: Mapping[Split, tuple[str, list[str]]], paths: Sequence[str]
) -> tuple[list[Item], dict[str, str], list[str]]:
    """The pictures with the splits that lists name, as :func:`tasks.data.dense.pairing.divided`.

    Raises:
        UserError: a picture is in two lists.
    """
    stems: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        stems[fold(posixpath.splitext(path)[0])].append(path)
        stems[fold(posixpath.splitext(posixpath.basename(path))[0])].append(path)
    splits: dict[str, Split] = {}
    absent = []
    for split, (file, listed_) in lists.items():
        for stem in listed_:
            those = stems.get(stem) or stems.get(posixpath.splitext(stem)[0], [])
            if not those:
                absent.append(stem)
            for path in {*those}:
                if splits.setdefault(path, split) != split:
                    raise UserError(
                        f"{path} is listed as {splits[path]} and as {split} ({file}).",
                        "An image is in one split.",
                        "remove it from one of the lists",
                    )
    notes = ["splits from " + ", ".join(f"{file} ({split})" for split, (file, _) in lists.items())]
    if absent:
        notes.append(str(Counted.of("listed images that are not there or have no annotation", absent)))
    items = [Item(path, "", splits[path]) for path in sorted(paths) if path in splits]
    why: dict[str, str] = dict.fromkeys((path for path in paths if path not in splits), NO_LIST)
    why |= dict.fromkeys((file for file, _ in lists.values()), "lists of splits, read")
    return items, why, notes


def _items(files: Files, paths: Sequence[str]) -> tuple[list[Item], dict[str, str], list[str]]:
    lists = split_lists(files, "Main")
    return by_lists(lists, paths) if len(lists) > 1 else divided(sorted(paths))
