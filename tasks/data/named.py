"""The table of data sets that have a name: how large, under which licence, and how they come to this machine.

A set that this program can bring has a ``reader``; one that the user must have is given as ``name=/its/folder``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from export.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from export.store import Store
    from tasks.data.layout import Source

    SourceReader = Callable[[str, Path | None, Store], Source]
    """name, the user's folder or None, store → the listed data set."""


@dataclass(frozen=True)
class Named:
    """One row: ``images`` (with public labels) and ``classes`` as published, ``how`` it is got, ``reader``
    "module:function"."""

    images: int
    classes: int
    licence: str
    how: str
    reader: str


_TORCHVISION = "tasks.data.sets.torchvision_sets:source"
_DOWNLOAD = "downloaded by torchvision, or NAME=DIR with torchvision's layout"
_FOLDER = "tasks.data.sets.given:source"
_ANNOTATED = "tasks.data.sets.annotated:source"
_VISDA = "tasks.data.sets.visda:source"

NAMED: dict[str, Named] = {
    "aircraft": Named(10_000, 100, "non-commercial research", _DOWNLOAD, _TORCHVISION),
    "cifar10": Named(60_000, 10, "not stated", _DOWNLOAD, _TORCHVISION),
    "cifar100": Named(60_000, 100, "not stated", _DOWNLOAD, _TORCHVISION),
    "dtd": Named(5_640, 47, "research purposes", _DOWNLOAD, _TORCHVISION),
    "eurosat": Named(27_000, 10, "MIT", _DOWNLOAD, _TORCHVISION),
    "flowers102": Named(8_189, 102, "not stated", _DOWNLOAD, _TORCHVISION),
    "food101": Named(101_000, 101, "research purposes", _DOWNLOAD, _TORCHVISION),
    "pets": Named(7_349, 37, "CC BY-SA 4.0", _DOWNLOAD, _TORCHVISION),
    "imagenet": Named(1_331_167, 1000, "non-commercial research", "imagenet=DIR with train/ and val/", _FOLDER),
    "imagenet-a": Named(7_500, 200, "MIT", "imagenet-a=DIR of class folders", _FOLDER),
    "imagenet-r": Named(30_000, 200, "MIT", "imagenet-r=DIR of class folders", _FOLDER),
    "imagenet-sketch": Named(50_889, 1000, "MIT", "imagenet-sketch=DIR of class folders", _FOLDER),
    "imagenet-v2": Named(10_000, 1000, "MIT", "imagenet-v2=DIR of folders 0 to 999", _FOLDER),
    "visda-train": Named(152_397, 12, "not stated", "visda-train=DIR with train/, validation/ and test/", _VISDA),
    "visda-val": Named(55_388, 12, "not stated", "visda-val=DIR, the same", _VISDA),
    "visda-test": Named(72_372, 12, "not stated", "visda-test=DIR, the same", _VISDA),
    "ade20k": Named(22_210, 150, "BSD-3-Clause (masks)", "ade20k=DIR with images/, annotations/", _ANNOTATED),
    "cityscapes": Named(3_475, 19, "non-commercial research", "cityscapes=DIR: leftImg8bit/, gtFine/", _ANNOTATED),
    "coco": Named(123_287, 80, "CC BY 4.0 (annotations)", "coco=DIR: annotations/, train2017/, val2017/", _ANNOTATED),
    "voc": Named(11_540, 20, "not stated", "voc=DIR with Annotations/: boxes", _ANNOTATED),
    "voc-masks": Named(2_913, 21, "not stated", "voc-masks=DIR: SegmentationClass/", _ANNOTATED),
    "elpv": Named(2_624, 2, "CC BY-NC-SA 4.0", "from the package elpv-dataset (91 MB)", "tasks.data.sets.elpv:source"),
    "elpv4": Named(2_624, 4, "CC BY-NC-SA 4.0", "from the package elpv-dataset (91 MB)", "tasks.data.sets.elpv:source"),
    "emoji_twitter": Named(
        3_198,
        1599,
        "Apache-2.0, CC BY 4.0",
        "by npm, three packages (152 MB); for retrieval",
        "tasks.data.sets.emoji:source",
    ),
    "emoji_fluent": Named(
        3_198, 1599, "Apache-2.0, MIT", "by npm, from two packages (90 MB)", "tasks.data.sets.emoji:source"
    ),
    "digits": Named(1_797, 10, "CC BY 4.0", "inside scikit-learn; for tests", "tasks.data.sets.digits:source"),
    "toy": Named(180, 4, "CC0-1.0", "drawn on the spot; for tests", "tasks.data.sets.toy:source"),
}

READERS: Registry[SourceReader] = Registry(
    "data set", {name: row.reader for name, row in NAMED.items()}, listing="bob tasks"
)
