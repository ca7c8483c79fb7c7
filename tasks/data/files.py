"""Where images lie: a folder, an archive, or memory, seen as names with bytes behind them."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from export.errors import UserError
from export.filetype import HEAD
from tasks.data import formats
from tasks.data.base import Reader
from tasks.data.formats import Kind

DANGLING = "links that lead nowhere"
TWICE = "links to folders that are read already"
SPECIAL = "special files (pipes, sockets, devices)"
TWIN = "names that differ from another only in their encoding"
FORBIDDEN = "files or folders that may not be read (permission denied)"

_SYSTEM = frozenset(
    ("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "lost+found", "$recycle.bin", "system volume information")
    + ("@eadir", "icon\r")
)


@dataclass(frozen=True)
class Files:
    """Named bytes.

    Attributes:
        stamps: name (posix path inside the source) → its size where that is known, and what else changes when the
            bytes change, as far as is known without reading them.
        read: the bytes of a name; several threads, and processes that were forked, may call it at once.
        head: the first bytes of a name, cheaply.
        origin: what the stamps hold within: a folder's path, or an archive's with size and time.
        folders: names of empty folders.
        skipped: (name, why) of what is there and holds no bytes: links that lead nowhere, pipes, …
        root: the folder on disk, where it is one.
        foreign: how many names are not UTF-8; they are shown as Latin-1.
    """

    stamps: Mapping[str, str]
    read: Reader
    origin: str = ""
    folders: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    head: Reader | None = None
    root: Path | None = None
    foreign: int = 0

    def fingerprint(self, names: Iterable[str]) -> str:
        """A quick hash of these files: equal as long as nobody touches them."""
        digest = hashlib.sha256(self.origin.encode("utf-8", "surrogateescape"))
        for name in sorted(names):
            digest.update(f"\0{name}\0{self.stamps[name]}".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def first_bytes(self, name: str) -> bytes:
        """At least :data:`export.filetype.HEAD` bytes of a file, or all of it.

        Raises:
            OSError: it cannot be read.
        """
        return self.head(name) if self.head else self.read(name)

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """Name → what the file is, of every file that is not hidden."""
        return {name: self._kind(name) for name in sorted(self.stamps) if not hidden(name)}

    def _kind(self, name: str) -> Kind:
        found = formats.kind(name, lambda: self.first_bytes(name))
        if found is formats.IMAGE and self.stamps[name].partition(" ")[0] in _POINTER_SIZES:
            try:
                own = formats.of_head(self.first_bytes(name))
                return formats.POINTER if own is formats.POINTER else found
            except OSError:
                pass  # the index says why
        return found


_POINTER_SIZES = frozenset(str(size) for size in range(110, 200))


def hidden(name: str) -> bool:
    """Whether a file is one of those that systems and programs leave behind (``.DS_Store``, ``__MACOSX/…``)."""
    return any((part.startswith(".") and part != "..") or part.lower() in _SYSTEM for part in name.split("/"))


def readable(name: str) -> str:
    """A name that is not UTF-8 (it comes with surrogates) as Latin-1, so that it can be printed and written."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogateescape").decode("latin-1")
    return name


def is_image(name: str) -> bool:
    """Whether a file's name says that it is an image, and not a hidden file."""
    return formats.ending(name) in formats.IMAGES and not hidden(name)


def from_folder(root: Path) -> Files:
    """All files under a folder, in an order that depends on their names alone; links are followed, after all that is
    really there, and a folder is entered once.

    Raises:
        UserError: the folder may not be read.
    """
    stamps: dict[str, str] = {}
    empty: list[str] = []
    skipped: list[tuple[str, str]] = []
    top = root.stat()
    seen = {(top.st_dev, top.st_ino)}
    folders, links = [(str(root), "")], list[tuple[str, str]]()

    def enter(path: str, name: str, found: os.stat_result) -> None:
        if (found.st_dev, found.st_ino) in seen:
            skipped.append((name, TWICE))
        else:
            seen.add((found.st_dev, found.st_ino))
            folders.append((path, f"{name}/"))

    while folders or links:
        if not folders:  # only now: a folder keeps its own name, and not that of a link to it
            links.sort(key=lambda link: link[1], reverse=True)
            path, name = links.pop()
            try:
                enter(path, name, os.stat(path))
            except OSError:
                skipped.append((name, DANGLING))
            continue
        folder, prefix = folders.pop()
        try:
            with os.scandir(folder) as scanned:
                entries = list(scanned)
        except PermissionError as error:
            if not prefix:
                raise UserError(f"{root} cannot be read.", "Permission denied.") from error
            skipped.append((prefix[:-1], FORBIDDEN))
            continue
        except OSError as error:
            raise UserError(f"{folder} cannot be read.", f"{error.strerror}.") from error
        if not entries and prefix:
            empty.append(prefix[:-1])
        for entry in entries:
            name = prefix + entry.name
            try:
                found = entry.stat()
            except PermissionError:
                skipped.append((name, FORBIDDEN))
                continue
            except OSError:  # nothing there, or links in a circle; or a file that was removed a moment ago
                if entry.is_symlink():
                    skipped.append((name, DANGLING))
                continue
            if stat.S_ISREG(found.st_mode):
                stamps[name] = f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"
            elif not stat.S_ISDIR(found.st_mode):
                skipped.append((name, SPECIAL))
            elif entry.is_symlink():
                links.append((entry.path, name))
            else:
                enter(entry.path, name, found)

    raw = {readable(name): name for name in stamps if readable(name) != name}
    for shown, name in raw.items():
        if shown in stamps:
            skipped.append((shown, TWIN))
            del stamps[name]
        else:
            stamps[shown] = stamps.pop(name)

    def read(name: str) -> bytes:
        return (root / raw.get(name, name)).read_bytes()

    def head(name: str) -> bytes:
        with open(root / raw.get(name, name), "rb", buffering=0) as file:
            return file.read(HEAD)

    return Files(
        stamps,
        read,
        str(root.resolve()),
        tuple(sorted(map(readable, empty))),
        tuple(sorted((readable(name), why) for name, why in skipped)),
        head,
        root,
        len(raw),
    )


def from_memory(names: Iterable[str], read: Reader, origin: str) -> Files:
    """Images that some function makes; ``origin`` must change when what it makes changes."""
    return Files(dict.fromkeys(names, ""), read, origin)
