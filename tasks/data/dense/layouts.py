"""Which layout of annotations a source has: one of those that are read, or one that is refused by its name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from export.errors import UserError
from tasks.data import formats, split_names
from tasks.data.dense import coco, masks, voc, yolo
from tasks.data.dense.pairing import LABELS, Listed, place
from tasks.data.files import Files
from tasks.data.layout import Item, few

DENSE = "images/ and masks/, or COCO's JSON, Pascal VOC's XML or YOLO's text files beside the images (docs/data.md)"
_EXPORT = "export them as COCO (object detection, or instance segmentation), Pascal VOC or YOLO"
FOREIGN: dict[str, tuple[formats.Kind, re.Pattern[bytes]]] = {
    "LabelMe's JSON": (
        formats.JSON,
        re.compile(rb'"shapes"\s*:(.|\n)*"imagePath"\s*:|"imagePath"\s*:(.|\n)*"shapes"\s*:'),
    ),
    "VIA's JSON": (formats.JSON, re.compile(rb'"shape_attributes"\s*:')),
    "Supervisely's JSON": (formats.JSON, re.compile(rb'"classTitle"\s*:')),
    "Cityscapes' polygons": (formats.JSON, re.compile(rb'"imgHeight"\s*:(.|\n)*"objects"\s*:')),
    "COCO's panoptic JSON": (formats.JSON, re.compile(rb'"segments_info"\s*:')),
    "CreateML's JSON": (formats.JSON, re.compile(rb'"coordinates"\s*:\s*\{')),
    "CVAT's XML": (formats.XML, re.compile(rb"<annotations>(.|\n)*<(image|track|meta)[\s>]")),
}
"""Formats of annotations that are not read, by how their files look."""


def annotated(files: Files) -> Listed | None:
    """The images with annotations; None where there are none of a layout that is read.

    Files of objects that name images of the source are read before folders of masks.

    Raises:
        UserError: there are several kinds of annotation files, or they cannot be read without doubt.
    """
    readings = coco.listed(files), voc.listed(files), yolo.listed(files)
    found = [one for one in readings if one]
    if len(found) > 1:
        raise UserError(
            f"There are {' and '.join(one.layout for one in found)} of the same source.",
            "Two readings: which of them is meant cannot be known.",
            "move one of them away",
        )
    if not found:
        return masks.listed(files)
    images = [path for path, kind in files.kinds.items() if kind.sort == "image" and place(path).role == "labels"]
    images = [path for path in images if path not in {item.id for item in found[0].items}]
    if not images:
        return found[0]
    why = {**dict.fromkeys(images, f"masks: the {found[0].layout} are read"), **found[0].why}
    said = f"{len(images):,} images in folders of masks are not read: the {found[0].layout} are"
    return replace(found[0], why=why, notes=(*found[0].notes, said))


def beside(items: Sequence[Item]) -> list[str]:
    """Of class folders, those whose names say neither that they hold images or masks nor which split."""
    labels = sorted({item.label for item in items})
    shown = re.compile("visuali|overlay|preview|colou?red", re.IGNORECASE)  # masks drawn for people
    return [
        one for one in labels if not place(f"{one}/x").role and not split_names.plain(one) and not shown.search(one)
    ]


def foreign(name: str, files: Files) -> UserError | None:
    """The refusal of annotations that are not read, by their first file; None where there are none."""
    for kind in (formats.JSON, formats.XML):
        for path in [path for path, found in files.kinds.items() if found is kind][:3]:
            try:
                data = files.read(path)
            except OSError:
                continue
            for what, (of, pattern) in FOREIGN.items():
                if of is kind and pattern.search(data):
                    return UserError(f"{name} has annotations that are not read: {what} ({path}).", "", _EXPORT)
    return None


def unpaired(name: str, files: Files) -> UserError | None:
    """The refusal of folders of images and of masks that do not belong together; None where there are none such."""
    images = [path for path, kind in files.kinds.items() if kind.sort == "image"]
    of = {role: [path for path in images if place(path).role == role] for role in ("picture", "labels", "")}
    empty = [folder for folder in files.folders if place(f"{folder}/x").role == "labels"]
    if of["picture"] and not of["labels"] and empty:
        return UserError(f"The folder {empty[0]} of {name} is empty.", "It would hold masks.", "put the masks there")
    if of["labels"] and of["picture"]:
        return UserError(
            f"The masks of {name} do not belong to its images by their names.",
            f"The first mask is {of['labels'][0]}, and the first image {of['picture'][0]}.",
            f"a mask of the same name for each image, in one of the folders {few(sorted(LABELS), 4)}",
        )
    flat = [path for path in images if re.search(r"[_-](mask|label|gt|seg)s?\.\w+$", path.lower())]
    if flat and len(flat) > len(images) / 4:
        return UserError(
            f"{name} has images and masks in one folder ({flat[0]}, …).",
            "Masks are known by the folder that they are in.",
            "move them to images/ and masks/",
        )
    return None
