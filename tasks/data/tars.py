"""Tar archives as named files; one that is compressed is unpacked once, to a plain tar in the store."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import posixpath
import tarfile
from pathlib import Path
from typing import Any

from export.errors import UserError
from export.filetype import HEAD
from export.store import Store, key
from tasks.data import formats
from tasks.data.files import SPECIAL, Files, readable
from tasks.data.members import SPARSE, Damaged, Handle, Members, origin

Unpack = type[gzip.GzipFile | lzma.LZMAFile | bz2.BZ2File]


def is_old_tar(path: Path) -> bool:
    """Whether it is a tar without the word ustar in it."""
    try:
        with tarfile.open(path, "r:") as tar:
            return tar.next() is not None
    except (tarfile.TarError, ValueError, EOFError):
        return False


def from_tar(path: Path, store: Store, unpack: Unpack | None) -> Files:
    """The files of a tar; ``unpack`` opens a compressed one.

    Raises:
        UserError: what is compressed is no tar. Damage raises what Python raises.
    """
    known = origin(path, path.stat())

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

    entry = store.obtain("archives", key("archive", version=2, origin=known), build)
    document = json.loads(entry.file("members.json").read_bytes())
    members = {name: (offset, size) for name, offset, size in document["entries"]}
    handle = Handle(entry.file("data.tar") if unpack else path, path.name)

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
        known,
        tuple(document["folders"]),
        tuple((name, why) for name, why in document["skipped"]),
        lambda sample_id: part(sample_id, HEAD),
        foreign=document["foreign"],
    )


def _unpack(path: Path, plain: Path, unpack: Unpack, store: Store) -> None:
    with unpack(path) as packed:
        block = packed.read(1 << 20)
        if block[257:262] != b"ustar" and not _looks_like_tar(block):
            found = formats.of_head(block[:HEAD])
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


def _tar_members(path: Path) -> Members:
    """The members of a plain tar.

    Raises:
        tarfile.ReadError: it is cut off or damaged: Python's own reader takes a damaged header for the end.
    """
    members = Members()
    end = path.stat().st_size
    with tarfile.open(path, "r:") as tar:
        for member in tar:
            if member.issparse():
                members.skipped.append((member.name, SPARSE))
            elif member.isreg() and member.offset_data + member.size > end:
                raise Damaged(f"It is cut off: it ends inside {member.name}.")
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
            raise Damaged(f"It is cut off or damaged after {last}." if after < end else f"It is cut off after {last}.")
        while block := file.read(1 << 20):
            if block.strip(b"\0"):
                raise Damaged("Something follows its end: it is damaged, or several archives were joined into one.")
    members.resolve()
    return members
