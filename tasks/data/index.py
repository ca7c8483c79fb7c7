"""One pass over a data set's bytes: content hash, readability, and which images are the same picture.

The index is kept in the store under a quick fingerprint of the files, so that a second opening decodes nothing. It
knows no labels and no splits: changing those costs no new pass.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from export.store import Store, key
from tasks.data.annotations import Picture
from tasks.data.base import Counted, Reader, Unreadable
from tasks.data.files import Files

if TYPE_CHECKING:
    from PIL.Image import Image

VERSION = 4
SIDE = 16
Progress = Callable[[int, int], None]
_BLOCK = 64


@dataclass(frozen=True)
class Index:
    """What the pass found.

    Attributes:
        sha256: of every readable image, by name.
        group: images with equal numbers are the same picture.
        unreadable: the rest, in order of their names.
        traits: readable images that are not plain 8-bit grey or RGB, by what they are and what was done with it.
        pictures: size and orientation of every readable image, by name.
    """

    sha256: dict[str, str]
    group: dict[str, int]
    unreadable: tuple[Unreadable, ...]
    traits: tuple[Counted, ...] = ()
    pictures: dict[str, Picture] = field(default_factory=dict)


def index(names: Sequence[str], files: Files, store: Store, progress: Progress | None = None) -> Index:
    """The index of ``names``, from the store or built now on all cores; ``progress(done, total)`` after each block."""
    from export.picture import VERSION as DECODING

    names = sorted(names)

    def build(folder: Path) -> dict[str, Any]:
        found = _look(names, files.read, progress)
        whole = [i for i, look in enumerate(found) if look.trouble is None]
        group = np.full(len(names), -1, np.int64)
        if whole:
            from tasks.data.duplicates import groups

            hashes = np.array([found[i].hash for i in whole])
            thumbnails = np.array([found[i].thumbnail for i in whole])
            group[whole] = groups([found[i].sha256 for i in whole], hashes, thumbnails)
        document = {
            "sha256": [look.sha256 for look in found],
            "group": group.tolist(),
            "trouble": {str(i): look.trouble for i, look in enumerate(found) if look.trouble is not None},
            "pictures": [[*look.size, look.orientation] for look in found],
            "traits": [[one.what, one.count, one.names] for one in _traits(names, found)],
        }
        (folder / "index.json").write_text(json.dumps(document))
        return {"images": len(whole), "unreadable": len(names) - len(whole)}

    entry = store.obtain("index", key("index", version=VERSION, decode=DECODING, files=files.fingerprint(names)), build)
    document = json.loads(entry.file("index.json").read_bytes())
    trouble = {int(i): reason for i, reason in document["trouble"].items()}
    whole = [i for i in range(len(names)) if i not in trouble]
    return Index(
        {names[i]: document["sha256"][i] for i in whole},
        {names[i]: document["group"][i] for i in whole},
        tuple(Unreadable(names[i], reason) for i, reason in sorted(trouble.items())),
        tuple(Counted(what, count, tuple(first)) for what, count, first in document["traits"]),
        {names[i]: Picture(*document["pictures"][i]) for i in whole},
    )


@dataclass(frozen=True)
class _Look:
    sha256: str
    hash: npt.NDArray[np.bool_] | None = None
    thumbnail: npt.NDArray[np.uint8] | None = None
    trouble: str | None = None
    traits: tuple[str, ...] = ()
    size: tuple[int, int] = (0, 0)
    orientation: int = 1


def _look(names: Sequence[str], read: Reader, progress: Progress | None) -> list[_Look]:
    blocks = [names[i : i + _BLOCK] for i in range(0, len(names), _BLOCK)]
    found: list[_Look] = []
    with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="index") as pool:
        for block in pool.map(lambda block: [look(read, name) for name in block], blocks):
            found += block
            if progress:
                progress(len(found), len(names))
    return found


def _traits(names: Sequence[str], found: Sequence[_Look]) -> list[Counted]:
    """By what they are, the most frequent first."""
    by: dict[str, list[str]] = {}
    for name, one in zip(names, found, strict=True):
        for trait in one.traits:
            by.setdefault(trait, []).append(name)
    return sorted((Counted.of(what, those) for what, those in by.items()), key=lambda one: (-one.count, one.what))


def look(read: Reader, name: str) -> _Look:
    """Read and decode one image; any error in it becomes a reason, never an exception."""
    from export import picture

    try:
        encoded = read(name)
    except OSError as error:
        return _Look("", trouble=f"It cannot be read: {error.strerror or error}.")
    digest = hashlib.sha256(encoded).hexdigest()
    try:
        seen = picture.look(encoded, 8 * SIDE)
    except picture.Undecodable as error:
        return _Look(digest, trouble=error.reason)
    grey = seen.grey.convert("F")  # unrounded grey: flat regions would hash to the rounding's noise
    thumbnail = np.asarray(_shrunk(grey, SIDE, SIDE)).round().astype(np.uint8).ravel()
    return _Look(
        digest, difference_hash(grey), thumbnail, traits=seen.traits, size=seen.size, orientation=seen.orientation
    )


def difference_hash(grey: Image) -> npt.NDArray[np.bool_]:
    """bool [256]: on a 17 x 16 reduction, whether each pixel is darker than its right neighbour (dHash)."""
    small = np.asarray(_shrunk(grey, SIDE + 1, SIDE))
    return np.asarray(small[:, 1:] > small[:, :-1]).ravel()


def _shrunk(grey: Image, width: int, height: int) -> Image:
    from PIL import Image

    return grey.resize((width, height), Image.Resampling.BILINEAR)  # Pillow's box leaves out parts of pixels
