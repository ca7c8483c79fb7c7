"""One pass over a data set's bytes: content hash, readability, and which images are the same picture.

The index is kept in the store under a quick fingerprint of the files, so that a second opening decodes nothing. It
knows no labels and no splits: changing those costs no new pass.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from export.store import Store, key
from tasks.data.base import Counted, Reader, Unreadable
from tasks.data.files import Files

if TYPE_CHECKING:
    from PIL.Image import Image

VERSION = 2
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
    """

    sha256: dict[str, str]
    group: dict[str, int]
    unreadable: tuple[Unreadable, ...]
    traits: tuple[Counted, ...] = ()


def index(names: Sequence[str], files: Files, store: Store, progress: Progress | None = None) -> Index:
    """The index of ``names``, from the store or built now on all cores; ``progress(done, total)`` after each block."""
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
        }
        (folder / "index.json").write_text(json.dumps(document))
        return {"images": len(whole), "unreadable": len(names) - len(whole)}

    entry = store.obtain("index", key("index", version=VERSION, files=files.fingerprint(names)), build)
    document = json.loads(entry.file("index.json").read_bytes())
    trouble = {int(i): reason for i, reason in document["trouble"].items()}
    whole = [i for i in range(len(names)) if i not in trouble]
    return Index(
        {names[i]: document["sha256"][i] for i in whole},
        {names[i]: document["group"][i] for i in whole},
        tuple(Unreadable(names[i], reason) for i, reason in sorted(trouble.items())),
    )


@dataclass(frozen=True)
class _Look:
    sha256: str
    hash: npt.NDArray[np.bool_] | None = None
    thumbnail: npt.NDArray[np.uint8] | None = None
    trouble: str | None = None


def _look(names: Sequence[str], read: Reader, progress: Progress | None) -> list[_Look]:
    blocks = [names[i : i + _BLOCK] for i in range(0, len(names), _BLOCK)]
    found: list[_Look] = []
    with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="index") as pool:
        for block in pool.map(lambda block: [look(read, name) for name in block], blocks):
            found += block
            if progress:
                progress(len(found), len(names))
    return found


def look(read: Reader, name: str) -> _Look:
    """Read and decode one image; any error in it becomes a reason, never an exception."""
    from PIL import Image

    try:
        encoded = read(name)
    except OSError as error:
        return _Look("", trouble=f"cannot be read: {error.strerror or error}")
    digest = hashlib.sha256(encoded).hexdigest()
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            # A large JPEG is decoded at half, a quarter or an eighth of its size: all its bytes are still parsed, so
            # that a cut-off file is noticed, and most of the arithmetic is saved.
            image.draft("L", (8 * SIDE, 8 * SIDE))
            grey = image.convert("L").convert("F")  # unrounded grey: flat regions would hash to the rounding's noise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        text = str(error).replace(repr(error.args[0]) if error.args else "", "").strip() or type(error).__name__
        return _Look(digest, trouble="not an image" if "cannot identify" in str(error) else text)
    return _Look(digest, difference_hash(grey), np.asarray(_shrunk(grey, SIDE, SIDE)).round().astype(np.uint8).ravel())


def difference_hash(grey: Image) -> npt.NDArray[np.bool_]:
    """bool [256]: on a 17 x 16 reduction, whether each pixel is darker than its right neighbour (dHash)."""
    small = np.asarray(_shrunk(grey, SIDE + 1, SIDE))
    return np.asarray(small[:, 1:] > small[:, :-1]).ravel()


def _shrunk(grey: Image, width: int, height: int) -> Image:
    from PIL import Image

    return grey.resize((width, height), Image.Resampling.BILINEAR)  # Pillow's box leaves out parts of pixels
