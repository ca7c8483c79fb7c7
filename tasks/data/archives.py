"""Zip and tar archives, known by their first bytes: seen as named files, and never extracted to paths.

A name inside an archive is only ever looked up in a table of its members, so a name such as ``../../etc/passwd`` is
harmless. All reading is by position (``pread``): threads and forked processes share a handle without sharing a place in
the file. An archive that changes while it is read is noticed.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import json
import lzma
import os
import posixpath
import re
import stat
import struct
import tarfile
import threading
import weakref
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from export.errors import UserError
from export.store import Store, key
from tasks.data import formats
from tasks.data.files import DANGLING, SPECIAL, TWICE, Files, readable

OUTSIDE = "names that lead out of the archive"
REPLACED = "entries that a later one of the same name replaces"
SPARSE = "sparse files"

_UNPACK = "unpack it, and give the folder"
_FOREIGN = (
    (b"7z\xbc\xaf\x27\x1c", "7z", "7z x {}"),
    (b"Rar!\x1a\x07", "RAR", "unrar x {}"),
    (b"\x28\xb5\x2f\xfd", "Zstandard", "tar --zstd -xf {} (or: zstd -d {})"),
    (b"\x04\x22\x4d\x18", "LZ4", "lz4 -d {}"),
    (b"\x1f\x9d", "compress (.Z)", "uncompress {}"),
    (b"LZIP", "lzip", "lzip -d {}"),
    (b"MSCF", "cabinet", "cabextract {}"),
)
Unpack = type[gzip.GzipFile | lzma.LZMAFile | bz2.BZ2File]
_COMPRESSED: tuple[tuple[bytes, Unpack], ...] = (
    (b"\x1f\x8b", gzip.GzipFile),
    (b"\xfd7zXZ\0", lzma.LZMAFile),
    (b"\x5d\0\0", lzma.LZMAFile),  # .lzma, the older form
    (b"BZh", bz2.BZ2File),
)
_PARTS = re.compile(r"\.(z\d\d|\d{3}|part\d*|a[a-z]|r\d\d)$|\.part\d+\.\w+$|[._-]part[-_]?\w{1,3}$", re.IGNORECASE)
_DAMAGE = (
    (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, struct.error, ValueError)
    + (NotImplementedError, RuntimeError, OverflowError, IndexError, KeyError, MemoryError)
)  # fmt: skip
"""What the standard library raises on archives that are not whole."""


def from_archive(path: Path, store: Store) -> Files:
    """The files of a zip or tar; a compressed tar (gzip, xz, bzip2) is unpacked once, into the store.

    Raises:
        UserError: it is no archive of these, or it is encrypted, one part of several, cut off or damaged.
    """
    head = _head(path)
    _refuse_foreign(path, head)
    try:
        for signature, unpack in _COMPRESSED:
            if head.startswith(signature):
                return _from_tar(path, store, unpack)
        if head[257:262] == b"ustar" or (not head.startswith(b"PK") and _old_tar(path)):
            return _from_tar(path, store, None)
        if head.startswith(b"PK") or zipfile.is_zipfile(path):
            return _from_zip(path)
    except (*_DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise _damaged(path, _cause(error)) from error
    raise UserError(
        f"{path} is not an archive, a table or a folder.",
        _is(formats.of_head(head), head),
        "a folder, a CSV table, or a .zip, .tar, .tar.gz, .tar.xz or .tar.bz2 archive",
    )


def is_archive(path: Path) -> bool:
    """Whether a file begins like an archive or is named like one: what :func:`from_archive` should be asked about."""
    found = formats.of_head(_head(path))
    known = formats.ENDINGS.get(formats.ending(path.name))
    return found is formats.ARCHIVE or known is formats.ARCHIVE or formats.ending(path.name) == "whl"


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(formats.HEAD)


def _is(kind: formats.Kind | None, head: bytes) -> str:
    if not head.strip(b"\0"):
        return "It is empty." if not head else "It holds nothing but zeros: the download or copy was not completed."
    return f"By its first bytes it belongs to the {kind.what}." if kind else "Its first bytes are of no known format."


def _refuse_foreign(path: Path, head: bytes) -> None:
    """Raise for what is an archive, or part of one, and cannot be read here."""
    parts = (
        sorted(p.name for p in path.parent.glob(f"{path.stem}.z[0-9][0-9]")) if path.suffix.lower() == ".zip" else []
    )
    if _PARTS.search(path.name) or parts or head.startswith(b"PK\x07\x08"):
        whole = _PARTS.sub("", path.name)
        raise UserError(
            f"{path.name} is one part of an archive that is split over several files.",
            "The parts have to be joined first.",
            f"zip -s 0 {path.name} --out joined.zip (of .zip with .z01 …), or cat {whole}.* > {whole}; 7z x reads both",
        )
    for signature, what, command in _FOREIGN:
        if head.startswith(signature):
            raise UserError(
                f"{path.name} is a {what} archive, which is not read.",
                "Archives that are read: zip, tar, tar.gz, tar.xz, tar.bz2.",
                f"{command.format(path.name, path.name)}, and give the folder",
            )


def _damaged(path: Path, cause: str) -> UserError:
    return UserError(f"{path} is not a complete archive.", cause, "copy or download it again")


def _cause(error: BaseException) -> str:
    """In words; never what a library quotes of the bytes that it met."""
    if isinstance(error, _Found):
        return str(error)
    if isinstance(error, EOFError):
        return "It is cut off: its compressed data end too early."
    if isinstance(error, (zlib.error, lzma.LZMAError)) or type(error) is OSError:
        return "Its compressed data are damaged."
    if isinstance(error, zipfile.BadZipFile) and "not a zip" in str(error):
        return "It is cut off: the directory at the end of the zip archive is missing."
    if isinstance(error, tarfile.ReadError) and "unexpected end" in str(error):
        return "It is cut off: it ends inside a file."
    if isinstance(error, gzip.BadGzipFile):
        return "Its compressed data are damaged, or followed by something else."
    return "A header inside it is damaged."


class _Found(tarfile.ReadError):
    """Damage that was found here, in words for the user."""


@dataclass
class _Members:
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
        name = _normal(raw)
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
            self.links[name] = _normal(target)

    def add_folder(self, raw: str) -> None:
        name = _normal(raw)
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


def _normal(raw: str) -> str:
    return posixpath.normpath(readable(raw).replace("\\", "/").lstrip("/") or ".")


def _parents(name: str) -> Iterable[str]:
    while name := posixpath.dirname(name):
        yield name


def _origin(path: Path, found: os.stat_result) -> str:
    return f"{path.resolve()} {found.st_size} {found.st_mtime_ns}"


class _Handle:
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


class _Positioned(io.RawIOBase):
    """A handle as a file with a place of its own, for the standard library."""

    def __init__(self, handle: _Handle) -> None:
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


def _from_zip(path: Path) -> Files:
    handle = _Handle(path, path.name)

    def opened() -> zipfile.ZipFile:
        return zipfile.ZipFile(io.BufferedReader(_Positioned(handle)))

    members, infos = _Members(), list[zipfile.ZipInfo]()
    with opened() as bundle:
        for info in bundle.infolist():
            name = _zip_name(info)
            if name.replace("\\", "/").endswith("/"):
                members.add_folder(name)
                continue
            kind = stat.S_IFMT(info.external_attr >> 16) if info.create_system == 3 else 0
            infos.append(info)
            if kind == stat.S_IFLNK and not info.flag_bits & 1:
                target = bundle.read(info).decode("utf-8", "surrogateescape")
                members.add_link(name, posixpath.join(posixpath.dirname(name), target))
            elif kind not in (0, stat.S_IFREG):
                members.skipped.append((name, SPECIAL))
            else:
                members.add(name, info)
    members.resolve()
    _refuse_unreadable(path, infos)
    local = threading.local()  # a ZipFile has one place in its file; one for each thread needs no lock

    def part(sample_id: str, size: int) -> bytes:
        info = members.entries[sample_id]
        try:
            if getattr(local, "process", None) != os.getpid():
                local.bundle, local.process = opened(), os.getpid()
            with local.bundle.open(info) as file:
                data: bytes = file.read(size)
        except (*_DAMAGE, OSError) as error:
            handle.check()
            raise OSError(f"{sample_id} is damaged inside {path.name}") from error
        return data

    def read(sample_id: str) -> bytes:
        handle.check()
        return part(sample_id, -1)

    return Files(
        {name: f"{info.file_size} {info.CRC:08x}" for name, info in members.entries.items()},
        read,
        _origin(path, handle.stat),
        tuple(sorted(members.folders)),
        tuple(sorted(members.skipped)),
        lambda sample_id: part(sample_id, formats.HEAD),
    )


def _zip_name(info: zipfile.ZipInfo) -> str:
    """UTF-8 where the bytes of the name are that, even where the zip does not say so (as macOS writes it)."""
    if info.flag_bits & 0x800:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.filename


def _refuse_unreadable(path: Path, infos: list[zipfile.ZipInfo]) -> None:
    locked = [info.filename for info in infos if info.flag_bits & 1]
    if locked:
        raise UserError(
            f"{path.name} is encrypted: {len(locked):,} of its {len(infos):,} files need a password.", "", _UNPACK
        )
    known = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    methods = sorted(
        {_METHODS.get(i.compress_type, f"method {i.compress_type}") for i in infos if i.compress_type not in known}
    )
    if methods:
        raise UserError(
            f"{path.name} is compressed in a way that Python does not read: {', '.join(methods)}.", "", _UNPACK
        )


_METHODS = {1: "shrink", 6: "implode", 9: "Deflate64", 93: "Zstandard", 95: "XZ", 97: "WavPack", 98: "PPMd"}


def _old_tar(path: Path) -> bool:
    """Whether it is a tar without the word ustar in it."""
    try:
        with tarfile.open(path, "r:") as tar:
            return tar.next() is not None
    except (tarfile.TarError, ValueError, EOFError):
        return False


def _from_tar(path: Path, store: Store, unpack: Unpack | None) -> Files:
    origin = _origin(path, path.stat())

    def build(folder: Path) -> dict[str, Any]:
        plain = path
        if unpack:
            plain = folder / "data.tar"
            _unpack(path, plain, unpack, store)
        members = _tar_members(plain)
        document = {
            "entries": [[name, *where] for name, where in members.entries.items()],
            "folders": sorted(members.folders),
            "skipped": sorted((readable(name), why) for name, why in members.skipped),
            "foreign": members.foreign,
        }
        (folder / "members.json").write_text(json.dumps(document))
        return {"archive": path.name}

    entry = store.obtain("archives", key("archive", version=2, origin=origin), build)
    document = json.loads(entry.file("members.json").read_bytes())
    members = {name: (offset, size) for name, offset, size in document["entries"]}
    handle = _Handle(entry.file("data.tar") if unpack else path, path.name)

    def part(sample_id: str, most: int | None = None) -> bytes:
        offset, size = members[sample_id]
        size = size if most is None else min(size, most)
        data = handle.read(offset, size)
        handle.check()
        if len(data) != size:
            raise OSError(f"{path.name} ends inside {sample_id}")
        return data

    return Files(
        {name: f"{size} {offset}" for name, (offset, size) in members.items()},
        part,
        origin,
        tuple(document["folders"]),
        tuple((name, why) for name, why in document["skipped"]),
        lambda sample_id: part(sample_id, formats.HEAD),
        foreign=document["foreign"],
    )


def _unpack(path: Path, plain: Path, unpack: Unpack, store: Store) -> None:
    with unpack(path) as packed:
        block = packed.read(1 << 20)
        if block[257:262] != b"ustar" and not _looks_like_tar(block):
            found = formats.of_head(block[: formats.HEAD])
            what = found.what if found else "unknown"
            raise UserError(
                f"{path.name} is a single compressed file and not a tar archive.",
                f"The kind of what it holds: {what}." if block else "Decompressed, it is empty.",
                "decompress it (gunzip, unxz, bunzip2), and give what comes out",
            )
        store.say(f"unpacking {path.name} once")
        with plain.open("wb") as out:
            while block:
                out.write(block)
                block = packed.read(1 << 20)


def _looks_like_tar(block: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(block[:512], tarfile.ENCODING, "surrogateescape")
    except tarfile.HeaderError:
        return len(block) >= 1024 and not any(block[:1024])  # an archive of nothing
    return True


def _tar_members(path: Path) -> _Members:
    """The members of a plain tar.

    Raises:
        tarfile.ReadError: it is cut off or damaged: Python's own reader takes a damaged header for the end.
    """
    members = _Members()
    end = path.stat().st_size
    with tarfile.open(path, "r:") as tar:
        for member in tar:
            if member.issparse():
                members.skipped.append((member.name, SPARSE))
            elif member.isreg() and member.offset_data + member.size > end:
                raise _Found(f"It is cut off: it ends inside {member.name}.")
            elif member.isreg():
                members.add(member.name, (member.offset_data, member.size))
            elif member.isdir():
                members.add_folder(member.name)
            elif member.islnk():
                members.add_link(member.name, member.linkname)
            elif member.issym():
                members.add_link(member.name, posixpath.join(posixpath.dirname(member.name), member.linkname))
            else:
                members.skipped.append((member.name, SPECIAL))
        after = tar.offset
    with path.open("rb") as file:
        file.seek(after)
        mark = file.read(512)
        if len(mark) < 512 or any(mark):
            last = next(reversed(members.entries), "its beginning")
            raise _Found(f"It is cut off or damaged after {last}." if after < end else f"It is cut off after {last}.")
        while block := file.read(1 << 20):
            if block.strip(b"\0"):
                raise _Found("Something follows its end: it is damaged, or several archives were joined into one.")
    members.resolve()
    return members
