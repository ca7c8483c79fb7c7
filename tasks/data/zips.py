"""Zip archives as named files."""

from __future__ import annotations

import io
import os
import posixpath
import stat
import threading
import zipfile
from pathlib import Path

from export.errors import UserError
from export.filetype import HEAD
from tasks.data.files import SPECIAL, Files
from tasks.data.members import DAMAGE, UNPACK, Handle, Members, Positioned, origin

_METHODS = {1: "shrink", 6: "implode", 9: "Deflate64", 93: "Zstandard", 95: "XZ", 97: "WavPack", 98: "PPMd"}


def from_zip(path: Path) -> Files:
    """The files of a zip.

    Raises:
        UserError: it is encrypted, or compressed in a way that Python does not read. Damage raises what Python raises.
    """
    handle = Handle(path, path.name)

    def opened() -> zipfile.ZipFile:
        return zipfile.ZipFile(io.BufferedReader(Positioned(handle)))

    members, infos = Members(), list[zipfile.ZipInfo]()
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
        except (*DAMAGE, OSError) as error:
            handle.check()
            raise OSError(f"{sample_id} is damaged inside {path.name}") from error
        return data

    def read(sample_id: str) -> bytes:
        handle.check()
        return part(sample_id, -1)

    return Files(
        {name: f"{info.file_size} {info.CRC:08x}" for name, info in members.entries.items()},
        read,
        origin(path, handle.stat),
        tuple(sorted(members.folders)),
        tuple(sorted(members.skipped)),
        lambda sample_id: part(sample_id, HEAD),
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
            f"{path.name} is encrypted: {len(locked):,} of its {len(infos):,} files need a password.", "", UNPACK
        )
    known = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    methods = sorted(
        {_METHODS.get(i.compress_type, f"method {i.compress_type}") for i in infos if i.compress_type not in known}
    )
    if methods:
        raise UserError(
            f"{path.name} is compressed in a way that Python does not read: {', '.join(methods)}.", "", UNPACK
        )
