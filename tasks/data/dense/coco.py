"""COCO's JSON: objects with boxes, polygons or run-length codes; several files are splits, by their names.

The format: https://cocodataset.org/#format-data, "object detection".
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from export.errors import UserError
from tasks.data import formats, split_names
from tasks.data.base import Counted, Split
from tasks.data.dense.objects import Annotated, Found, ObjectFiles
from tasks.data.dense.pairing import Listed, divided, finder
from tasks.data.files import Files
from tasks.data.layout import Item, few

MOST = 200
"""Files that are looked into: more JSON files than that are one for each image, and none is COCO's."""
REMEDY = "COCO's object detection format: images, annotations with bbox, categories"

Id = int | str


class _Image(msgspec.Struct):
    id: Id
    file_name: str
    width: float | None = None
    height: float | None = None


class _Category(msgspec.Struct):
    id: Id
    name: str


class _Annotation(msgspec.Struct):
    image_id: Id | None = None
    category_id: Id | None = None
    bbox: list[float] | None = None
    segmentation: Any = None
    iscrowd: int | bool | None = 0
    id: Id | None = None
    caption: str | None = None
    segments_info: Any = None


class _Document(msgspec.Struct):
    images: list[_Image]
    annotations: list[_Annotation] | None = None
    categories: list[_Category] | None = None


@dataclass(frozen=True)
class _File:
    """One JSON file, and which of the source's images its entries are: id → path."""

    name: str
    document: _Document
    found: Mapping[Id, str]
    split: Split | None


def listed(files: Files) -> Listed | None:
    """The images that COCO files of the source list; None where no such file names an image of it.

    Raises:
        UserError: a file is damaged or contradicts itself or another.
    """
    notes: list[str] = []
    read = [one for name in _candidates(files) if (one := _read(name, files, notes))]
    if not read:
        return None
    read = _chosen(read, notes)
    classes = _classes(read)
    items: list[Item] = []
    pictures: dict[str, Annotated] = {}
    for one in read:
        own = _objects(one, classes, notes)
        pictures |= own
        items += [Item(path, "", one.split) for path in own]
    shapes = [found.shape is not None for annotated in pictures.values() for found in annotated.objects]
    if any(shapes) and not all(shapes):
        notes.append(f"{len(shapes) - sum(shapes):,} of {len(shapes):,} objects have no shape: all are read as boxes")
    if all(item.split is None for item in items):
        items, why, said = divided([item.id for item in items])
        notes += said
    else:
        why = {}
    if len({item.split for item in items}) > 1 and all(one.split for one in read):
        notes.append("splits from the files " + ", ".join(f"{one.name} ({one.split})" for one in read))
    why |= dict.fromkeys((one.name for one in read), "annotations, read for the objects")
    return Listed(
        "COCO annotations",
        sorted(items, key=lambda item: item.id),
        ObjectFiles(classes, pictures, bool(shapes) and all(shapes)),
        why,
        tuple(notes),
        "images that no annotation file lists",
    )


def _candidates(files: Files) -> list[str]:
    jsons = [name for name, kind in files.kinds.items() if kind is formats.JSON]
    if len(jsons) > MOST:
        depth = min(name.count("/") for name in jsons)
        jsons = [name for name in jsons if name.count("/") == depth][:MOST]
    return jsons


def _read(name: str, files: Files, notes: list[str]) -> _File | None:
    try:
        data = files.read(name).removeprefix(b"\xef\xbb\xbf")
    except OSError:
        return None
    if not data.lstrip().startswith(b"{") or b'"images"' not in data or b'"file_name"' not in data:
        return None
    try:
        document = msgspec.json.decode(data, type=_Document, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UserError(
            f"{name} looks like COCO annotations, and cannot be read.",
            f"{error}".rstrip(".") + ".",
            "make or download it again; or move it away",
        ) from error
    if document.annotations is None:
        notes.append(f"{name} has no annotations, and is not read")
        return None
    if document.annotations and all(one.caption is not None for one in document.annotations):
        notes.append(f"{name} has captions, and is not read")
        return None
    if any(one.segments_info is not None for one in document.annotations):
        notes.append(f"{name} has panoptic annotations, and is not read")
        return None
    return _located(name, document, files, notes)


def _located(name: str, document: _Document, files: Files, notes: list[str]) -> _File | None:
    """The file with the paths of its images; None, with a note, where none is there."""
    _require_unique(name, "images with the id", [image.id for image in document.images])
    find = finder(files, name)
    found: dict[Id, str] = {}
    missing, open_ = list[str](), list[str]()
    for image in document.images:
        written = re.sub(r"^(\w:)?[\\/]+", "", image.file_name)
        paths = find(written) or find(re.split(r"[\\/]", written)[-1])
        paths = [path for path in paths if path in files.kinds and files.kinds[path].sort == "image"]
        if len(paths) == 1:
            found[image.id] = paths[0]
        else:
            (open_ if paths else missing).append(image.file_name)
    if not found and not open_:
        first = f" ({missing[0]}, …)" if missing else ""
        notes.append(f"{name} is not read: none of the {len(missing):,} images that it lists is here{first}")
        return None
    if open_:
        raise UserError(
            f"{name} lists {open_[0]}, and several images have this name.",
            f"{len(open_):,} entries are open in this way.",
            "write the folders in file_name",
        )
    if missing:
        notes.append(f"{name} lists {Counted.of('images that are not there', missing)}")
    _require_unique(name, "entries for the image", list(found.values()))
    own = split_names.named(posixpath.basename(name).partition(".")[0])
    above = next((at for part in reversed(name.split("/")[:-1]) if (at := split_names.plain(part))), None)
    return _File(name, document, found, own.split if own else above)


def _require_unique(name: str, what: str, values: Sequence[Any]) -> None:
    value, times = next(iter(Counter(values).most_common(1)), (None, 0))
    if times > 1:
        raise UserError(f"{name} has {times} {what} {value}.", "Each stands for one image.", "remove all but one")


def _chosen(read: Sequence[_File], notes: list[str]) -> list[_File]:
    """The files that are read together: disjoint, and with splits where they are several.

    Raises:
        UserError: two files list the same image, or several have no split in their names.
    """
    instances = [one for one in read if posixpath.basename(one.name).startswith("instances")]
    if instances and len(instances) < len(read):
        for one in read:
            if one not in instances:
                notes.append(f"{one.name} is not read: {instances[0].name} is there")
        read = instances
    divided_ = {path for one in read if one.split for path in one.found.values()}
    whole = [one for one in read if not one.split and divided_ >= {*one.found.values()}]
    for one in whole:
        notes.append(f"{one.name} is not read: the files of splits list all its images")
    read = [one for one in read if one not in whole]
    if len(read) > 1 and not all(one.split for one in read):
        raise UserError(
            f"There are {len(read)} files of COCO annotations: {few([one.name for one in read])}.",
            "Several are read together only as splits: train.json, val.json, test.json.",
            "move away all that is not meant",
        )
    seen: dict[str, str] = {}
    for one in read:
        for path in one.found.values():
            if path in seen:
                raise UserError(
                    f"{path} is listed in {seen[path]} and in {one.name}.",
                    "The files are read as splits, and an image is in one split.",
                    "remove it from one of them, or move one of them away",
                )
            seen[path] = one.name
    return list(read)


def _classes(read: Sequence[_File]) -> tuple[str, ...]:
    """The names, in the order of their ids in the first file that has them; files are held together by names."""
    names: dict[str, None] = {}
    for one in sorted(read, key=lambda one: (one.split != "train", one.name)):
        categories = one.document.categories or []
        _require_unique(one.name, "categories with the id", [category.id for category in categories])
        used = {annotation.category_id for annotation in one.document.annotations or []}
        # exports have a category for the whole set, of the same name as the only one in it, which nothing has
        _require_unique(one.name, "categories with the name", [c.name for c in categories if c.id in used])
        for category in sorted(categories, key=lambda c: (isinstance(c.id, str), c.id if isinstance(c.id, int) else 0)):
            names.setdefault(category.name)
    return tuple(names)


def _objects(one: _File, classes: Sequence[str], notes: list[str]) -> dict[str, Annotated]:
    """Path → what one file says of it."""
    number = {name: i for i, name in enumerate(classes)}
    label = {category.id: number[category.name] for category in one.document.categories or []}
    listed = {image.id for image in one.document.images}
    found: dict[Id, list[Found]] = defaultdict(list)
    orphans, bare = [], []
    annotations = one.document.annotations or []
    for at, annotation in enumerate(annotations):
        where = f"{one.name}, annotation {at if annotation.id is None else annotation.id}"
        if annotation.image_id is None or annotation.image_id not in listed:
            orphans.append(where)
            continue
        if annotation.image_id not in one.found:
            continue
        if annotation.category_id is None or annotation.category_id not in label:
            raise UserError(
                f"{where} has the category {annotation.category_id}, which the file does not list.",
                f"Its categories are {few([f'{key} ({classes[i]})' for key, i in label.items()])}.",
                "add the category, or remove the annotation",
            )
        box = annotation.bbox or None
        if box is not None and len(box) != 4:
            raise UserError(f"{where} has a bbox of {len(box)} numbers.", "It is x, y, width, height.", REMEDY)
        outline = annotation.segmentation
        has_shape = isinstance(outline, dict) or (isinstance(outline, list) and any(outline))
        if box is None and not has_shape:
            bare.append(where)
            continue
        found[annotation.image_id].append(
            Found(
                label[annotation.category_id],
                (box[0], box[1], box[0] + box[2], box[1] + box[3]) if box else None,
                where,
                bool(annotation.iscrowd),
                outline if has_shape else None,
            )
        )
    ids = Counter(annotation.id for annotation in annotations if annotation.id is not None)
    twice = [str(key) for key, times in ids.items() if times > 1]
    for what, those in (
        ("annotations of images that the file does not list, left out", orphans),
        ("annotations without box or shape, left out", bare),
        ("ids that several annotations have; all are read", twice),
    ):
        notes += [f"{one.name}: {Counted.of(what, those)}"] if those else []
    return {
        path: Annotated(found[image.id], one.name, _size(image))
        for image in one.document.images
        if (path := one.found.get(image.id))
    }


def _size(image: _Image) -> tuple[int, int] | None:
    return (int(image.height), int(image.width)) if image.height and image.width else None
