"""Zip and tar archives, known by their first bytes: seen as named files, and never extracted to paths.

A name inside an archive is only ever looked up in a table of its members, so a name such as ``../../etc/passwd`` is
harmless. All reading is by position (``pread``): threads and forked processes share a handle without sharing a place in
the file. An archive that changes while it is read is noticed.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import re
import tarfile
import zipfile
import zlib
from pathlib import Path

from export.errors import UserError
from export.filetype import HEAD, FileType, filetype
from export.store import Store
from tasks.data import formats
from tasks.data.files import Files
from tasks.data.members import DAMAGE, Damaged
from tasks.data.tars import Unpack, from_tar, is_old_tar
from tasks.data.zips import from_zip

_FOREIGN = {
    FileType.SEVEN_ZIP: ("7z", "7z x {}"),
    FileType.RAR: ("RAR", "unrar x {}"),
    FileType.ZSTANDARD: ("Zstandard", "tar --zstd -xf {} (or: zstd -d {})"),
    FileType.LZ4: ("LZ4", "lz4 -d {}"),
    FileType.COMPRESS: ("compress (.Z)", "uncompress {}"),
    FileType.LZIP: ("lzip", "lzip -d {}"),
    FileType.CABINET: ("cabinet", "cabextract {}"),
}
_COMPRESSED: dict[FileType, Unpack] = {
    FileType.GZIP: gzip.GzipFile,
    FileType.XZ: lzma.LZMAFile,
    FileType.BZIP2: bz2.BZ2File,
}
_LZMA = b"\x5d\0\0"
"""How the older form of xz begins: too common to tell a file by, but where an archive is expected."""
_PARTS = re.compile(r"\.(z\d\d|\d{3}|part\d*|a[a-z]|r\d\d)$|\.part\d+\.\w+$|[._-]part[-_]?\w{1,3}$", re.IGNORECASE)


def from_archive(path: Path, store: Store) -> Files:
    """The files of a zip or tar; a compressed tar (gzip, xz, bzip2) is unpacked once, into the store.

    Raises:
        UserError: it is no archive of these, or it is encrypted, one part of several, cut off or damaged.
    """
    head = _head(path)
    found = filetype(head)
    _refuse_foreign(path, head, found)
    try:
        if unpack := lzma.LZMAFile if head.startswith(_LZMA) else _COMPRESSED.get(found) if found else None:
            return from_tar(path, store, unpack)
        if found is FileType.TAR or (found is not FileType.ZIP and is_old_tar(path)):
            return from_tar(path, store, None)
        if found is FileType.ZIP or zipfile.is_zipfile(path):
            return from_zip(path)
    except FileNotFoundError as error:
        raise UserError(
            f"{error.filename} was removed while {path.name} was read.",
            "Another process has removed it, or replaced a damaged entry of the store.",
            "run the same command again",
        ) from error
    except (*DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise _damaged(path, _cause(error)) from error
    raise UserError(
        f"{path} is not an archive, a table or a folder.",
        _is(formats.of_head(head), head),
        "a folder, a CSV table, or a .zip, .tar, .tar.gz, .tar.xz or .tar.bz2 archive",
    )


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD)


def _is(kind: formats.Kind | None, head: bytes) -> str:
    if not head.strip(b"\0"):
        return "It is empty." if not head else "It holds nothing but zeros: the download or copy was not completed."
    return f"By its first bytes it belongs to the {kind.what}." if kind else "Its first bytes are of no known format."


def _refuse_foreign(path: Path, head: bytes, found: FileType | None) -> None:
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
    if found in _FOREIGN:
        what, command = _FOREIGN[found]
        raise UserError(
            f"{path.name} is a {what} archive, which is not read.",
            "Archives that are read: zip, tar, tar.gz, tar.xz, tar.bz2.",
            f"{command.format(path.name, path.name)}, and give the folder",
        )


def _damaged(path: Path, cause: str) -> UserError:
    return UserError(f"{path} is not a complete archive.", cause, "copy or download it again")


def _cause(error: BaseException) -> str:
    """In words; never what a library quotes of the bytes that it met."""
    if isinstance(error, Damaged):
        return str(error)
    if isinstance(error, EOFError):
        return "It is cut off or damaged: its compressed data end too early."
    if isinstance(error, (zlib.error, lzma.LZMAError)) or type(error) is OSError:
        return "Its compressed data are damaged."
    if isinstance(error, zipfile.BadZipFile) and "not a zip" in str(error):
        return "It is cut off: the directory at the end of the zip archive is missing."
    if isinstance(error, tarfile.ReadError) and "unexpected end" in str(error):
        return "It is cut off: it ends inside a file."
    if isinstance(error, gzip.BadGzipFile):
        return "Its compressed data are damaged, or followed by something else."
    return "A header inside it is damaged."
