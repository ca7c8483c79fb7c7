"""Folders of files that tests write from a few words, and archives of them."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from tasks.data.base import Counted
from tasks.data.layout import Source

JPEG = b"\xff\xd8\xff\xe0 begins like a JPEG, "
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 12345\n"


def write(root: Path, tree: Mapping[str, int | bytes | str | None]) -> Path:
    """Files under ``root``: a number makes so many images in a folder, None an empty folder, else a file's content."""
    root.mkdir(parents=True, exist_ok=True)
    for name, content in tree.items():
        path = root / name
        if content is None or isinstance(content, int):
            path.mkdir(parents=True, exist_ok=True)
            for i in range(content or 0):
                (path / f"{i:03d}.jpg").write_bytes(JPEG + f"{name} {i}".encode())
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def entries(root: Path) -> int:
    """How many things lie under a folder: files, links, and folders that hold nothing."""
    held = [(where, len(folders), len(files)) for where, folders, files in os.walk(root)]
    return sum(files + (not folders and not files and where != str(root)) for where, folders, files in held)


def packed(root: Path, target: Path) -> Path:
    """An archive of a folder, with its empty folders; its form follows the ending."""
    inside = sorted(path for path in root.rglob("*"))
    if target.suffix == ".zip":
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as bundle:
            for path in inside:
                bundle.write(path, path.relative_to(root).as_posix())
    else:
        mode = {".gz": "w:gz", ".xz": "w:xz", ".bz2": "w:bz2"}.get(target.suffix, "w")
        with tarfile.open(target, mode) as tar:  # type: ignore[call-overload]
            for path in inside:
                tar.add(path, path.relative_to(root).as_posix(), recursive=False)
    return target


def tar(target: Path, files: Mapping[str, bytes], others: Mapping[str, tuple[bytes, str]] | None = None) -> Path:
    """A tar of files, and of ``others``: name → (type of member, what it links to)."""
    with tarfile.open(target, "w") as bundle:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            bundle.addfile(info, io.BytesIO(content))
        for name, (kind, link) in (others or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, link
            bundle.addfile(info)
    return target


def labelled(source: Source) -> dict[str, tuple[str, str | None]]:
    """id → (label, split)."""
    return {item.id: (item.label, item.split) for item in source.items}


def sizes(source: Source) -> dict[tuple[str, str | None], int]:
    """(label, split) → how many images."""
    return dict(Counter((item.label, item.split) for item in source.items))


def account(left_out: tuple[Counted, ...]) -> dict[str, int]:
    """Reason → how many."""
    return {counted.what: counted.count for counted in left_out}
