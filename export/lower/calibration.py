"""The photographs from which a lower precision is made: some to take ranges from, others to choose and to judge by.

Ranges come from ``train``; what is chosen (a calibrator, nodes that stay in fp32) is chosen on half of ``val``, and the
parity gate takes the other half. Nothing of a test split is ever here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from export.convert.photographs import COUNT, PACKAGE, files, photographs
from export.errors import UserError
from export.picture import VERSION, Image, Orientation, Undecodable, decode
from export.reference import normalize, resize_and_crop
from export.spec import PreprocessSpec
from export.store import Store, key, sha256_file

TRAIN, VAL = 64, 128
"""How many photographs are used at most."""
LEAST = 4

Float = npt.NDArray[np.float32]


@dataclass(frozen=True)
class CalibrationSet:
    """Photographs by id; ``identity`` identifies their content, so that a key needs no file to be read.

    ``read`` gives a photograph's encoded bytes. There are at least four of each kind.
    """

    name: str
    train: tuple[str, ...]
    val: tuple[str, ...]
    identity: str
    read: Callable[[str], bytes] = field(compare=False)
    orientation: Orientation = "stored"

    def __post_init__(self) -> None:
        if min(len(self.train), len(self.val)) < LEAST:
            raise UserError(
                f"{self.name} has too few photographs for calibration.",
                f"{LEAST} to take ranges from and {LEAST} to judge by are needed; it has {len(self.train)} and "
                f"{len(self.val)}.",
            )

    @property
    def digest(self) -> str:
        """What stands for this set in a key."""
        how = {"decode": VERSION, "orientation": self.orientation}
        photographs = {"train": list(self.train), "val": list(self.val)}
        return key("calibration", name=self.name, content=self.identity, **photographs, **how)

    def pixels(self, ids: Sequence[str], spec: PreprocessSpec) -> npt.NDArray[np.uint8]:
        """The photographs as the network takes them, uint8 [n, height, width, 3]; raises Undecodable."""
        return np.stack([resize_and_crop(self._decoded(i), spec) for i in ids])

    def _decoded(self, name: str) -> Image:
        try:
            return decode(self.read(name), self.orientation)
        except Undecodable as error:
            raise error.of(name) from error

    def values(self, ids: Sequence[str], spec: PreprocessSpec) -> Float:
        """The same, normalised: float32 [n, 3, height, width]."""
        return normalize(self.pixels(ids, spec), spec)

    def listing(self) -> dict[str, Any]:
        """For a manifest: every photograph with the SHA-256 of its bytes."""
        hashes = {i: hashlib.sha256(self.read(i)).hexdigest() for i in (*self.train, *self.val)}
        return {
            "name": self.name,
            "digest": self.digest,
            "train": {i: hashes[i] for i in self.train},
            "val": {i: hashes[i] for i in self.val},
        }


def published(store: Store) -> CalibrationSet:
    """The twenty published photographs, for a file that is made before there is any data: half and half.

    The package is fetched once a photograph is read, and may then raise Unavailable.
    """

    @cache
    def all_of_them() -> list[bytes]:
        return photographs(store)

    names = tuple(f"{number:02d}" for number in range(COUNT))
    return CalibrationSet(
        "published photographs", names[::2], names[1::2], PACKAGE.sha256, lambda name: all_of_them()[int(name)]
    )


def of_folder(folder: Path) -> CalibrationSet:
    """Photographs of the user's own: every second one to calibrate on, the others to judge by.

    Raises:
        UserError: the folder holds too few.
    """
    found = {p.relative_to(folder).as_posix(): p for p in files(folder)[: TRAIN + VAL]}
    names = tuple(found)
    identity = key("photographs", files=[sha256_file(p) for p in found.values()])
    return CalibrationSet(folder.name, names[::2], names[1::2], identity, lambda name: found[name].read_bytes())
