"""What zip and tar archives have in common: their entries by name, and a handle that is read by position."""

from __future__ import annotations

import errno
import io
import os
import posixpath
import struct
import tarfile
import weakref
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from lzma import LZMAError
from pathlib import Path
from typing import Any

from tasks.data.files import DANGLING, TWICE, readable

OUTSIDE = "names that lead out of the archive"
REPLACED = "entries that a later one of the same name replaces"
SPARSE = "sparse files"

UNPACK = "unpack it, and give the folder"
DAMAGE = (
    (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, LZMAError, struct.error, ValueError)
    + (NotImplementedError, RuntimeError, OverflowError, IndexError, KeyError, MemoryError)
)  # fmt: skip
"""What the standard library raises on archives that are not whole."""


class Damaged(tarfile.ReadError):
    """Damage that was found here, in words for the user."""


@dataclass
class Members:
    """The entries of an archive, as they are met; ``file`` is what is needed to read one.

    A later entry replaces an earlier one of the same name, as unpacking would. Names are normalized: back-slashes
    are slashes, nothing is absolute.
    """

    entries: dict[str, Any] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    foreign: int = 0

    def name(self, raw: str) -> str | None:
        """The normalized name; None, and counted, where it leads out of the archive."""
        name = normal(raw)
        if name == ".." or name.startswith("../"):
            self.skipped.append((readable(raw), OUTSIDE))
            return None
        self.foreign += readable(raw) != raw
        return name

    def add(self, raw: str, where: Any) -> None:
        if name := self.name(raw):
            if name in self.entries:
                self.skipped.append((name, REPLACED))
            self.links.pop(name, None)
            self.entries[name] = where

    def add_link(self, raw: str, target: str) -> None:
        """``target`` as it stands from the archive's top."""
        if name := self.name(raw):
            if name in self.entries:
                self.skipped.append((name, REPLACED))
            self.entries[name] = None
            self.links[name] = normal(target)

    def add_folder(self, raw: str) -> None:
        name = normal(raw)
        if name != "." and name != ".." and not name.startswith("../"):
            self.folders.add(name)

    def resolve(self) -> None:
        """Give a link to a file in the archive that file's place; count the others. Afterwards no link is left."""
        parents = {folder for name in (*self.entries, *self.folders) for folder in _parents(name)}
        for name, target in self.links.items():
            way = [name]
            while target in self.links and target not in way:
                way.append(target)
                target = self.links[target]
            if (where := self.entries.get(target)) is not None:
                self.entries[name] = where
            else:
                del self.entries[name]
                self.skipped.append((name, TWICE if target in parents | self.folders else DANGLING))
        self.folders -= parents
        self.links = {}


def normal(raw: str) -> str:
    """A name with slashes, relative, and without detours."""
    return posixpath.normpath(readable(raw).replace("\\", "/").lstrip("/") or ".")


def _parents(name: str) -> Iterable[str]:
    while name := posixpath.dirname(name):
        yield name


def origin(path: Path, found: os.stat_result) -> str:
    """What changes when an archive does."""
    return f"{path.resolve()} {found.st_size} {found.st_mtime_ns}"


class Handle:
    """An open file that is read by position, and knows whether it is still the file that was opened."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        self._finalize = weakref.finalize(self, os.close, self._descriptor)
        self.stat = os.fstat(self._descriptor)

    def read(self, offset: int, size: int) -> bytes:
        return os.pread(self._descriptor, size, offset)

    def check(self) -> None:
        """Raise OSError where the file was written to since it was opened."""
        now = os.fstat(self._descriptor)
        if (now.st_size, now.st_mtime_ns) != (self.stat.st_size, self.stat.st_mtime_ns):
            raise OSError(f"{self.name} was changed while it was read")


class Positioned(io.RawIOBase):
    """A handle as a file with a place of its own, for the standard library."""

    def __init__(self, handle: Handle) -> None:
        self._handle, self._at = handle, 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._handle.stat.st_size}[whence]
        if start + offset < 0:
            raise OSError(errno.EINVAL, "before the beginning")  # as a file does
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        data = self._handle.read(self._at, len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
