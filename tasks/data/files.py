"""Where images lie: a folder, an archive, or memory, seen as names with bytes behind them.

Archives are never extracted to paths: a name inside one is only ever looked up in a table of its members, so a name
such as ``../../etc/passwd`` is harmless.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tarfile
import threading
import weakref
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.errors import UserError
from export.store import Store, key
from tasks.data.base import Reader

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm")


@dataclass(frozen=True)
class Files:
    """Named bytes.

    Attributes:
        stamps: name (posix path inside the source) → what changes when the bytes change, as far as is known
            without reading them.
        read: the bytes of a name; several threads may call it at once.
        origin: what the stamps hold within: an archive's path, size and time; empty for a folder.
        folders: names of empty folders, to be able to say that a class has no images.
    """

    stamps: Mapping[str, str]
    read: Reader
    origin: str = ""
    folders: tuple[str, ...] = ()

    def fingerprint(self, names: Iterable[str]) -> str:
        """A quick hash of these files: equal as long as nobody touches them."""
        digest = hashlib.sha256(self.origin.encode())
        for name in sorted(names):
            digest.update(f"\0{name}\0{self.stamps[name]}".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()


def is_image(name: str) -> bool:
    """Whether a file's name says that it is an image, and not one of the hidden files that systems leave behind."""
    parts = name.split("/")
    return name.lower().endswith(IMAGES) and not any(part.startswith((".", "__MACOSX")) for part in parts)


def from_folder(root: Path) -> Files:
    """All files under a folder; links are followed, a folder is entered once."""
    stamps: dict[str, str] = {}
    empty: list[str] = []
    top = root.stat()
    seen = {(top.st_dev, top.st_ino)}

    def walk(folder: str, prefix: str) -> None:
        found = 0
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                try:
                    stat = entry.stat()
                except OSError:  # a dangling link
                    continue
                found += 1
                if entry.is_dir():
                    if (stat.st_dev, stat.st_ino) not in seen:
                        seen.add((stat.st_dev, stat.st_ino))
                        walk(entry.path, f"{prefix}{entry.name}/")
                else:
                    stamps[prefix + entry.name] = f"{stat.st_size} {stat.st_mtime_ns}"
        if not found and prefix:
            empty.append(prefix[:-1])

    try:
        walk(str(root), "")
    except PermissionError as error:
        raise UserError(f"{error.filename} cannot be read.", "Permission denied.") from error
    return Files(stamps, lambda name: (root / name).read_bytes(), folders=tuple(empty))


def from_memory(names: Iterable[str], read: Reader, origin: str) -> Files:
    """Images that some function makes; ``origin`` must change when what it makes changes."""
    return Files(dict.fromkeys(names, ""), read, origin)


def from_archive(path: Path, store: Store) -> Files:
    """The files of a zip, tar or tar.gz; a tar.gz is unpacked once, to a plain tar in the store.

    Raises:
        UserError: it is none of these, or it is damaged.
    """
    try:
        if zipfile.is_zipfile(path):
            return _from_zip(path)
        return _from_tar(path, store)
    except (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(
            f"{path} is not a complete tar, tar.gz or zip archive.", str(error), "copy or download it again"
        ) from error


def is_archive(path: Path) -> bool:
    """Whether a file's name ends like an archive's."""
    return path.name.lower().endswith((".tar", ".tar.gz", ".tgz", ".zip", ".whl"))


def _origin(path: Path) -> str:
    stat = path.stat()
    return f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}"


def _from_zip(path: Path) -> Files:
    with zipfile.ZipFile(path) as bundle:
        members = {info.filename.removeprefix("./"): info for info in bundle.infolist() if not info.is_dir()}
    local = threading.local()  # a ZipFile seeks; one for each thread needs no lock

    def read(sample_id: str) -> bytes:
        if not hasattr(local, "bundle"):
            local.bundle = zipfile.ZipFile(path)
        try:
            data: bytes = local.bundle.read(members[sample_id])
        except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError) as error:
            raise OSError(f"{sample_id} cannot be read out of {path.name}: {error}") from error
        return data

    stamps = {name: f"{info.file_size} {info.CRC:08x}" for name, info in members.items()}
    return Files(stamps, read, _origin(path))


def _from_tar(path: Path, store: Store) -> Files:
    origin = _origin(path)
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"

    def build(folder: Path) -> dict[str, Any]:
        plain = path
        if compressed:
            store.say(f"unpacking {path.name} once")
            plain = folder / "data.tar"
            with gzip.open(path) as packed, plain.open("wb") as out:
                while block := packed.read(1 << 20):
                    out.write(block)
        (folder / "members.json").write_text(json.dumps(list(_members(plain))))
        return {"archive": path.name}

    entry = store.obtain("archives", key("archive", version=1, origin=origin), build)
    members = {name: (offset, size) for name, offset, size in json.loads(entry.file("members.json").read_bytes())}
    handle = os.open(entry.file("data.tar") if compressed else path, os.O_RDONLY)

    def read(sample_id: str) -> bytes:
        offset, size = members[sample_id]
        data = os.pread(handle, size, offset)  # no shared position: safe for all threads
        if len(data) != size:
            raise OSError(f"{path.name} ends inside {sample_id}")
        return data

    weakref.finalize(read, os.close, handle)
    return Files({name: f"{offset} {size}" for name, (offset, size) in members.items()}, read, origin)


def _members(path: Path) -> Iterator[tuple[str, int, int]]:
    end = path.stat().st_size
    with tarfile.open(path, "r:") as tar:
        for member in tar:
            if member.isreg() and not member.issparse():
                if member.offset_data + member.size > end:
                    raise tarfile.ReadError(f"it ends inside {member.name}")
                yield member.name.removeprefix("./"), member.offset_data, member.size
