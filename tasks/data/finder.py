"""Which file a table means by what it writes."""

from __future__ import annotations

import os
import posixpath
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from tasks.data import split_names
from tasks.data.files import Files


class Finder:
    """Names of files as a table writes them → the files of a source.

    Tried in this order: relative to the table's folder, then to the top of the source, then (on disk) wherever the path
    leads; with slashes for back-slashes, in other cases and Unicode forms; at last the file's name alone, with or
    without its ending, where only one image has it.
    """

    def __init__(self, files: Files, table: str, outside: dict[str, str]) -> None:
        """``outside`` gets the stamps of files that are not below the source's folder."""
        self.files, self.table, self.outside = files, table, outside
        self.base = posixpath.dirname(table)
        self.ways: Counter[str] = Counter()

    def __call__(self, cell: str) -> list[str]:
        """The files that are meant: none, one, or several where that is open."""
        cell = cell.strip()
        if not cell or "\0" in cell:
            return []
        for written in dict.fromkeys((cell, cell.replace("\\", "/"))):
            for base in dict.fromkeys((self.base, "")):
                name = posixpath.normpath(posixpath.join(base, written))
                if name in self.files.stamps or name in self.outside:
                    return [name]
                if there := self._on_disk(name):
                    return [there]
        written = cell.replace("\\", "/")
        for base in dict.fromkeys((self.base, "")):
            if found := self._folded.get(_fold(posixpath.normpath(posixpath.join(base, written)))):
                return self._said(found, "in another case or Unicode form")
        alone = _fold(posixpath.normpath(written))
        if found := self._by_end.get(alone):
            return self._said(found, "without their folders")
        if found := self._by_stem.get(alone):
            return self._said(found, "without their endings")
        return []

    def _said(self, found: Sequence[str], way: str) -> list[str]:
        if len(found) > 1:  # train.csv means the file in train/
            own = split_names.named(posixpath.basename(self.table).rpartition(".")[0])
            near = [
                name
                for name in found
                if own
                and any((at := split_names.named(part)) and at.split == own.split for part in name.split("/")[:-1])
            ]
            found = near if len(near) == 1 else found
        if len(found) == 1:
            self.ways[way] += 1
        return list(found)

    def _on_disk(self, name: str) -> str | None:
        """The file that a path leads to which is absolute, or leads out of the folder."""
        if self.files.root is None or not (posixpath.isabs(name) or name.startswith("../")):
            return None
        place = self.files.root / name
        try:
            found = place.stat()
            if not place.is_file():
                return None
        except (OSError, ValueError):
            return None
        for inside in (
            os.path.relpath(place, self.files.root),
            os.path.relpath(place.resolve(), self.files.root.resolve()),
        ):
            if inside in self.files.stamps:
                return inside
        self.outside[name] = f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"
        return name

    @cached_property
    def _images(self) -> list[str]:
        return [name for name, kind in self.files.kinds.items() if kind.sort in ("image", "picture")]

    @cached_property
    def _folded(self) -> Mapping[str, list[str]]:
        return _grouped((_fold(name), name) for name in self._images)

    @cached_property
    def _by_end(self) -> Mapping[str, list[str]]:
        """By the last parts of the path: ``1.jpg``, ``cat/1.jpg``."""
        return _grouped((end, name) for name in self._images for end in _ends(_fold(name)))

    @cached_property
    def _by_stem(self) -> Mapping[str, list[str]]:
        """The same without the ending: ``cat/1``."""
        stems = ((posixpath.splitext(_fold(name))[0], name) for name in self._images)
        return _grouped((end, name) for stem, name in stems for end in _ends(stem))


def _ends(path: str) -> list[str]:
    return [path, *(path[at + 1 :] for at, letter in enumerate(path) if letter == "/")]


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for group, member in pairs:
        groups[group].append(member)
    return groups
