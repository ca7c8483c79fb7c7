"""Images with a mask each, in folders: which belongs to which, and what their values mean."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from export.errors import UserError
from export.store import Store
from tasks.data.annotations import Annotations, Checked, Picture, Progress
from tasks.data.base import Counted, Sample
from tasks.data.dense import class_names, mask_files, voc
from tasks.data.dense.class_names import Row, Table
from tasks.data.dense.mask_files import Contents
from tasks.data.dense.meaning import Meaning, meaning
from tasks.data.dense.pairing import Listed, Pairs, divided, place
from tasks.data.dense.turning import SIDEWAYS, stored_mask
from tasks.data.files import Files
from tasks.data.layout import few
from tasks.data.targets import VOID, Mask, Masks

BARE = "images without a mask"
LOST = "masks whose image is not there"
VOC_CLASSES = tuple(
    """
    background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person
    pottedplant sheep sofa train tvmonitor
    """.split()  # noqa: SIM905
)
"""Pascal VOC's, in the order of the mask's values."""
CITYSCAPES = {
    "road": 7,
    "sidewalk": 8,
    "building": 11,
    "wall": 12,
    "fence": 13,
    "pole": 17,
    "traffic light": 19,
    "traffic sign": 20,
    "vegetation": 21,
    "terrain": 22,
    "sky": 23,
    "person": 24,
    "rider": 25,
    "car": 26,
    "truck": 27,
    "bus": 28,
    "train": 31,
    "motorcycle": 32,
    "bicycle": 33,
}
"""The 19 classes that are evaluated, in the order of their trainIds → their labelIds (cityscapesScripts, labels.py)."""


@dataclass(frozen=True)
class MaskFiles(Annotations):
    """``masks``: picture → its mask; ``table``: the classes, where something names them."""

    files: Files
    masks: Mapping[str, str]
    table: Table | None

    def check(
        self, pictures: Mapping[str, Picture], void: Collection[int], store: Store, progress: Progress | None
    ) -> Checked:
        found = mask_files.contents([self.masks[name] for name in pictures], self.files, store, progress)
        turned = self._turned(pictures, found)
        means = meaning(found, self.table, void)
        identity = f"{sorted(means.numbers.items())}{means.coloured}"
        counts = {name: means.of(found[self.masks[name]]) for name in pictures}
        notes = [*means.notes]
        if empty := [name for name, count in counts.items() if not count]:
            notes.append(str(Counted.of("masks are void everywhere", empty)))
        if turned:
            notes.append(str(Counted.of("masks are of the picture as EXIF turns it: turned back", turned)))

        def targets(samples: Sequence[Sample]) -> Masks:
            names = [sample.id for sample in samples]
            sizes = np.array([pictures[name].size for name in names], np.int64).reshape(-1, 2)
            return Masks(means.classes, sizes, lambda row: self._read(names[row], means, turned.get(names[row], 1)))

        return Checked(
            "masks",
            means.classes,
            {
                name: hashlib.sha256(
                    f"{found[self.masks[name]].sha256}{turned.get(name, 1)}{identity}".encode()
                ).hexdigest()
                for name in pictures
            },
            counts,
            targets,
            tuple(notes),
        )

    def _turned(self, pictures: Mapping[str, Picture], found: Mapping[str, Contents]) -> dict[str, int]:
        """Picture → the orientation that its mask is of, where that is not the stored one.

        Raises:
            UserError: a mask is of another size than its picture.
        """
        turned, wrong = {}, []
        for name, picture in pictures.items():
            size = found[self.masks[name]].size
            if size == picture.size:
                continue
            if picture.orientation in SIDEWAYS and size == picture.size[::-1]:
                turned[name] = picture.orientation
            else:
                wrong.append(name)
        if wrong:
            name = min(wrong)
            (height, width), (h, w) = found[self.masks[name]].size, pictures[name].size
            raise UserError(
                f"{len(wrong):,} of {len(pictures):,} masks have another size than their picture.",
                f"The first is {self.masks[name]}: {width} x {height} pixels, and {name} has {w} x {h}.",
                "masks of the pictures' own size; scale the pictures to them, or them with nearest neighbour",
            )
        return turned

    def _read(self, name: str, means: Meaning, orientation: int) -> Mask:
        pixels = mask_files.decode(self.files.read(self.masks[name]))
        values = pixels.values
        if pixels.palette is not None and means.coloured:
            values = pixels.palette[values]
        elif pixels.form == "colours" and not means.coloured:
            values = values & 255
        known = np.array(sorted(means.numbers), np.int64)
        classes = np.array([means.numbers[int(value)] for value in known], np.int16)
        if means.coloured:
            at = np.searchsorted(known, values).clip(max=len(known) - 1)
            mask = np.where(known[at] == values, classes[at], np.int16(VOID))
        else:
            lookup = np.full(max(65536, int(values.max(initial=0)) + 1), VOID, np.int16)
            lookup[known] = classes
            mask = lookup[values]
        return stored_mask(mask.astype(np.int16, copy=False), orientation)


def listed(files: Files) -> Listed | None:
    """The pictures with a mask; None where fewer than half of the files that seem to be masks have a picture.

    Raises:
        UserError: a picture has several masks.
    """
    if cityscapes := _cityscapes(files):
        return cityscapes
    images = [path for path, kind in files.kinds.items() if kind.sort == "image"]
    masks = _masks(images)
    pictures = _pictures([path for path in images if place(path).role != "labels"], masks)
    if not masks or not pictures:
        return None
    pairs = Pairs(pictures)
    found: dict[str, str] = {}
    lost = []
    for mask in masks:
        those = pairs(mask)
        if not those:
            lost.append(mask)
            continue
        if len(those) > 1 or those[0] in found:
            picture = those[0]
            raise UserError(
                f"{few(those)} share the mask {mask}."
                if len(those) > 1
                else f"{picture} has two masks: {found[picture]} and {mask}.",
                "A picture has one mask, of the same name in a folder of masks.",
                "keep one mask for each picture",
            )
        found[those[0]] = mask
    if len(found) < len(masks) / 2:
        return None
    lists = voc.split_lists(files, "Segmentation")
    items, why, notes = voc.by_lists(lists, list(found)) if len(lists) > 1 else divided(sorted(found))
    table = class_names.table(files)
    if table is None and lists and all("segmentationclass" in mask.lower() for mask in found.values()):
        table = class_names.of_names("Pascal VOC's 20 classes and background", VOC_CLASSES)
    if all(posixpath.basename(mask).startswith("ADE_") for mask in found.values()):
        table = _ade20k(table)
    why |= _why(found, lost, [path for path in pictures if path not in found], table, notes)
    return Listed(
        "masks in folders", items, MaskFiles(files, found, table), why, tuple(notes), "images in other folders"
    )


def _ade20k(table: Table | None) -> Table:
    """ADE20K's masks count classes from 1; 0 is what is none of the 150."""
    if table is None:
        table = class_names.of_names("ADE20K's 150 numbers", [str(i) for i in range(1, 151)])
    rows = (
        table.rows
        if any(row.value == 150 for row in table.rows)
        else [replace(r, value=r.value + 1) for r in table.rows]
    )
    return Table(table.file, (Row("void", 0), *(row for row in rows if row.value)))


def _masks(images: Sequence[str]) -> list[str]:
    """The images in folders of masks; of ``SegmentationClass`` and ``SegmentationObject``, the classes."""
    masks = [path for path in images if place(path).role == "labels"]
    classes = [path for path in masks if "segmentationclass" in path.lower()]
    return classes or masks


def _pictures(others: Sequence[str], masks: Sequence[str]) -> list[str]:
    """The images that masks are of: in folders that say so, else in those that masks are named after (``train``,
    ``train_labels``)."""
    named = [path for path in others if place(path).role == "picture"]
    if named:
        return named
    folders = {place(path).folder for path in masks}
    return [path for path in others if place(path).folder in folders]


def _why(
    found: Mapping[str, str], lost: Sequence[str], bare: Sequence[str], table: Table | None, notes: list[str]
) -> dict[str, str]:
    """Reasons for the files that are no picture of the set; fills in ``notes``."""
    why = dict.fromkeys(found.values(), "masks, read")
    for what, those in ((LOST, lost), (BARE, bare)):
        why |= dict.fromkeys(those, what)
    if bare:
        notes.append(f"{len(bare):,} images without a mask are left out")
    if table:
        why[table.file] = "names of classes, read"
    return why


def _cityscapes(files: Files) -> Listed | None:
    """Cityscapes: ``leftImg8bit/train/CITY/*_leftImg8bit.png``, ``gtFine/train/CITY/*_gtFine_labelIds.png``.

    The masks of its test pictures are void, as their labels are not published: these pictures are left out.
    """
    pictures, masks, ids = {}, dict[str, str](), dict[str, str]()
    for path, kind in files.kinds.items():
        name = posixpath.basename(path)
        if kind.sort != "image":
            continue
        if name.endswith("_leftImg8bit.png"):
            pictures[name.removesuffix("_leftImg8bit.png")] = path
        elif stem := re.fullmatch(r"(.+)_gt(?:Fine|Coarse)_label(Train)?Ids\.png", name):
            (masks if stem[2] else ids)[stem[1]] = path
    train_ids = bool(masks)
    masks = masks or ids
    found = {path: masks[stem] for stem, path in pictures.items() if stem in masks}
    if not found:
        return None
    items, why, notes = divided(sorted(found))
    tested = [item.id for item in items if item.split == "test"]
    if tested and len({item.split for item in items}) == 3:
        items = [item for item in items if item.split != "test"]
        why |= dict.fromkeys(tested, "images of Cityscapes' test set, whose labels are not published")
    rows = tuple(Row(name, number if train_ids else of) for number, (name, of) in enumerate(CITYSCAPES.items()))
    table = Table("Cityscapes' 19 classes", rows, rest_void=True)
    beside = [path for stem, path in ids.items() if train_ids]
    why |= dict.fromkeys(beside, "masks of labelIds beside those of trainIds")
    why |= _why(found, [mask for stem, mask in masks.items() if stem not in pictures], [], table, notes)
    why |= dict.fromkeys((path for path in pictures.values() if path not in found), BARE)
    del why[table.file]
    return Listed("Cityscapes' masks", items, MaskFiles(files, found, table), why, tuple(notes), "other images")
