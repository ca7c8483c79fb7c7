"""Small data sets with masks, boxes and shapes, that tests write and open."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from encoders import exif
from fakes import photograph
from PIL import Image
from trees import write

from export.store import Store
from tasks.data.base import DataSet
from tasks.data.catalog import Survey, survey
from tasks.data.targets import Mask, Masks, Objects

H, W = 24, 32
SPLITS = ("train", "val", "test")
Tree = dict[str, bytes | str | None]


def saved(values: Any, mode: str = "", form: str = "PNG", palette: Sequence[int] = ()) -> bytes:
    """An array as an image file, losslessly; of a mode with a palette, the values are indices."""
    array = np.asarray(values)
    image = Image.fromarray(array.astype(np.uint16 if mode == "I;16" else np.uint8))
    if mode == "P":
        image = image.copy()
        image.putpalette(list(palette) or [n for i in range(256) for n in (i * 37 % 256, i * 91 % 256, i * 7 % 256)])
    if mode == "1":
        image = Image.fromarray(array.astype(np.uint8) * 255).convert("1", dither=Image.Dither.NONE)
    out = io.BytesIO()
    image.save(out, form)
    return out.getvalue()


def blocks(seed: int, values: Sequence[int], height: int = H, width: int = W) -> Any:
    """uint8 [height, width]: a few rectangles of the values; the first and the last of them are always there."""
    draw = np.random.default_rng(seed)
    mask = np.full((height, width), values[0], np.uint8)
    for value in (*draw.permutation(np.array(values)), values[-1]):
        y, x = draw.integers(0, height - 6), draw.integers(0, width - 6)
        mask[y : y + 6, x : x + 6] = value
    mask[:2, :2] = values[0]
    return mask


def turned(seed: int, orientation: int, height: int = H, width: int = W) -> bytes:
    """A photograph, stored with the given size, that EXIF turns."""
    out = io.BytesIO()
    Image.open(io.BytesIO(photograph(seed, height, width))).save(out, "JPEG", exif=exif(orientation))
    return out.getvalue()


def masked(
    of: str = "{split}/{role}/{i}", names: tuple[str, str] = ("images", "masks"), values: Sequence[int] = (0, 1, 2)
) -> Tree:
    """Ten pictures with masks, over the splits 6, 2, 2; ``of`` says where they lie."""
    tree: Tree = {}
    for i in range(10):
        split = "train" if i < 6 else "val" if i < 8 else "test"
        for role, name in zip(names, ("picture", "mask"), strict=True):
            data = photograph(i, H, W) if name == "picture" else saved(blocks(i, values))
            ending = ".jpg" if name == "picture" else ".png"
            tree[of.format(split=split, role=role, i=i) + ending] = data
    return tree


def coco(names: Sequence[str], objects: Mapping[str, Sequence[Mapping[str, Any]]], **more: Any) -> dict[str, Any]:
    """A COCO document: images of one size, categories 3 and 7, and annotations with ids of their own."""
    annotations = [
        {"image_id": names.index(name), "category_id": 3, "iscrowd": 0, **one}
        for name, those in objects.items()
        for one in those
    ]
    return {
        "images": [{"id": i, "file_name": name, "height": H, "width": W} for i, name in enumerate(names)],
        "annotations": [{"id": 100 + i, **one} for i, one in enumerate(annotations)],
        "categories": [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}],
        **more,
    }


def boxed(count: int = 10) -> tuple[list[str], dict[str, list[dict[str, Any]]]]:
    """Names, and for each one object of category 3 and one of 7."""
    names = [f"{i}.jpg" for i in range(count)]
    return names, {
        name: [{"bbox": [1 + i, 2, 5, 6]}, {"bbox": [10, 3 + i, 8.5, 4], "category_id": 7}]
        for i, name in enumerate(names)
    }


def pictures(names: Sequence[str], folder: str = "images/") -> Tree:
    """A photograph for each name."""
    return {folder + name: photograph(i, H, W) for i, name in enumerate(names)}


def repictured(tree: Tree, first: int = 100) -> Tree:
    """The same annotations of other photographs."""
    images = [name for name in tree if name.endswith(".jpg")]
    return tree | {name: photograph(first + i, H, W) for i, name in enumerate(images)}


def xml(boxes: Sequence[tuple[Any, ...]], size: tuple[int, int] = (H, W), filename: str = "") -> str:
    """A Pascal VOC page: boxes are (name, xmin, ymin, xmax, ymax[, difficult])."""
    objects = "".join(
        f"<object><name>{name}</name><difficult>{int(bool(hard))}</difficult>"
        f"<part><name>head</name><bndbox><xmin>0</xmin><ymin>0</ymin><xmax>1</xmax><ymax>1</ymax></bndbox></part>"
        f"<bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object>"
        for name, a, b, c, d, *hard in boxes
    )
    sides = f"<size><width>{size[1]}</width><height>{size[0]}</height><depth>3</depth></size>"
    return f"<annotation><filename>{filename}</filename>{sides}{objects}</annotation>"


def dumped(document: Any) -> str:
    return json.dumps(document)


def surveyed(where: Path, tree: Mapping[str, Any], **how: Any) -> Survey:
    """The survey of a tree that is written to ``where``."""
    root = write(where / "photos", tree)
    return survey(str(root), Store(where / "store", say=lambda line: None), **how)


def opened(where: Path, tree: Mapping[str, Any], **how: Any) -> DataSet:
    return surveyed(where, tree, **how).data


def masks(data: DataSet) -> Masks:
    assert data.targets is not None
    found = data.targets(data.samples)
    assert isinstance(found, Masks)
    return found


def arrays(data: DataSet) -> list[Mask]:
    """The masks of all samples, in their order."""
    found = masks(data)
    return [found[row] for row in range(len(found))]


def objects(data: DataSet) -> Objects:
    assert data.targets is not None
    found = data.targets(data.samples)
    assert isinstance(found, Objects)
    return found


def splits(data: DataSet) -> tuple[int, int, int]:
    train, val, test = (len(data.split(split)) for split in ("train", "val", "test"))
    return train, val, test
