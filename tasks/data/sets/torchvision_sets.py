"""The benchmark sets that torchvision knows: it downloads and lists them, we read their own files.

Sets of files give the file's bytes, so that the JPEG that is decoded is the one that was published; sets of arrays
(CIFAR) are wrapped in lossless PNG.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from export.errors import Unavailable
from export.store import Store, key
from tasks.data.base import Split
from tasks.data.files import Files, from_memory
from tasks.data.layout import Item, Source
from tasks.data.named import NAMED
from tasks.data.sets import png

PARTS: dict[str, tuple[str, tuple[tuple[Split | None, dict[str, Any]], ...]]] = {
    "aircraft": ("FGVCAircraft", tuple((s, {"split": s}) for s in ("train", "val", "test"))),
    "cifar10": ("CIFAR10", (("train", {"train": True}), ("test", {"train": False}))),
    "cifar100": ("CIFAR100", (("train", {"train": True}), ("test", {"train": False}))),
    "dtd": ("DTD", tuple((s, {"split": s}) for s in ("train", "val", "test"))),
    "eurosat": ("EuroSAT", ((None, {}),)),
    "flowers102": ("Flowers102", tuple((s, {"split": s}) for s in ("train", "val", "test"))),
    "food101": ("Food101", (("train", {"split": "train"}), ("test", {"split": "test"}))),
    "pets": ("OxfordIIITPet", (("train", {"split": "trainval"}), ("test", {"split": "test"}))),
}
"""Name → torchvision's class, and for each split the arguments that open it."""


def source(name: str, folder: Path | None, store: Store) -> Source:
    """List the set; it is downloaded where it is not in ``folder`` (or else in the store).

    Raises:
        Unavailable: torchvision is not installed, or the set can neither be found nor downloaded.
    """
    from filelock import FileLock

    root = folder or store.root / "torchvision" / name
    try:
        from export.torchvision_ops import import_torchvision

        datasets = import_torchvision().datasets
    except ImportError as error:
        raise Unavailable(f"{name} needs torchvision.", str(error), "pip install torchvision") from error
    kind, parts = PARTS[name]
    root.mkdir(parents=True, exist_ok=True)
    opened = []
    with FileLock(root.with_name(f"{root.name}.lock")):
        for split, arguments in parts:
            try:
                part = getattr(datasets, kind)(str(root), download=True, **arguments)
            except (OSError, RuntimeError) as error:
                raise Unavailable(
                    f"{name} could not be downloaded.",
                    f"torchvision said: {error}".splitlines()[0],
                    f"--data {name}=DIR, where DIR is a copy of torchvision's root folder for it",
                ) from error
            opened.append((split, part))
    return listed(name, root, opened)


def listed(name: str, root: Path, opened: Sequence[tuple[Split | None, Any]]) -> Source:
    """From torchvision's objects, one a split, to a source."""
    licence = NAMED[name].licence
    if hasattr(opened[0][1], "data"):
        return _from_arrays(name, opened, licence)
    items, stamps = [], {}
    classes: tuple[str, ...] = ()
    for split, part in opened:
        if hasattr(part, "samples"):
            paths, labels = zip(*part.samples, strict=True)
        else:
            paths, labels = getattr(part, "_image_files", None) or part._images, part._labels
        classes = classes or tuple(getattr(part, "classes", ())) or tuple(str(i) for i in range(max(labels) + 1))
        for path, label in zip(paths, labels, strict=True):
            id = Path(os.path.relpath(path, root)).as_posix()
            stat = os.stat(path)
            stamps[id] = f"{stat.st_size} {stat.st_mtime_ns}"
            items.append(Item(id, classes[label], split))
    return Source(name, items, Files(stamps, lambda id: (root / id).read_bytes()), licence, classes=classes)


def _from_arrays(name: str, opened: Sequence[tuple[Split | None, Any]], licence: str) -> Source:
    classes = tuple(opened[0][1].classes)
    items, pixels = [], {}
    for split, part in opened:
        for i, label in enumerate(part.targets):
            item = Item(f"{split}/{classes[label]}/{i:05d}.png", classes[label], split)
            items.append(item)
            pixels[item.id] = np.asarray(part.data[i])
    content = key("arrays", of=[[str(split), len(part.data), int(part.data.sum())] for split, part in opened])
    files = from_memory(pixels, lambda id: png.encode(pixels[id]), f"{name} {content}")
    return Source(name, items, files, licence, classes=classes)
