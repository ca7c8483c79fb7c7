"""Thumbnails of a data set's test photographs: an archive beside the records, which the page takes some from.

They are the user's photographs, so they stay in the results folder: no record and no published archive holds them.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path

from export.errors import UserError
from export.store import write_atomic

INDEX = "index.json"
SUFFIX = ".webp"
TYPE = "image/webp"


@dataclass(frozen=True)
class Shown:
    """A test photograph.

    Attributes:
        id: its path inside the data set. label: its class; empty where the set's targets are others.
    """

    id: str
    label: str


@dataclass(frozen=True)
class Thumbnails:
    """The thumbnails of one data set.

    Attributes:
        test: the data set's test images, in their order: the same as the scores of records have.
        path: the archive.
    """

    test: tuple[Shown, ...]
    path: Path

    @cached_property
    def places(self) -> frozenset[int]:
        """The places in ``test`` of which there is a thumbnail."""
        with zipfile.ZipFile(self.path) as archive:
            return frozenset(int(Path(name).stem) for name in archive.namelist() if name != INDEX)

    def read(self, places: Sequence[int]) -> list[bytes]:
        """The encoded thumbnails at these places."""
        with zipfile.ZipFile(self.path) as archive:
            return [archive.read(f"{place}{SUFFIX}") for place in places]


def place(folder: Path, digest: str) -> Path:
    """Where the thumbnails of a data set lie in the folder of a results folder's pictures."""
    return folder / f"test_{digest[:16]}.zip"


def write(path: Path, test: Sequence[Shown], encoded: Mapping[int, bytes]) -> None:
    """Publish an archive, whole or not at all.

    Args:
        encoded: place in ``test`` → its thumbnail.

    Raises:
        OutOfSpace: the disk is full.
    """
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(INDEX, json.dumps([[one.id, one.label] for one in test]))
        for number, data in encoded.items():
            archive.writestr(f"{number}{SUFFIX}", data)
    write_atomic(path, out.getvalue())


def read(path: Path) -> Thumbnails:
    """Read what :func:`write` wrote.

    Raises:
        UserError: it is no such archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():
                raise zipfile.BadZipFile(f"{damaged} is damaged")
            index = json.loads(archive.read(INDEX))
        return Thumbnails(tuple(Shown(str(name), str(label)) for name, label in index), path)
    except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path} holds no thumbnails.", str(error), "remove it, and run the same command again"
        ) from error
