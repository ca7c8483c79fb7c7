"""The twenty real photographs that parity is judged on: ImageNet pictures that a published package carries."""

from __future__ import annotations

import zipfile
from pathlib import Path

from export.errors import UserError
from export.packages import Package, fetch
from export.picture import Undecodable, look
from export.store import Store, key, sha256_file

PACKAGE = Package("foolbox", "3.3.4", "11049d515d38e765e206a73ace9cc648b81a0d6d1da9ad9057e149ee117989cb", "MIT")


COUNT = 20


def photographs(store: Store, folder: Path | None = None) -> list[bytes]:
    """Encoded photographs: those of ``folder`` (up to 64), or the package's twenty.

    Raises:
        UserError: the folder holds no image, or one that cannot be decoded.
        Unavailable: the package cannot be had.
    """
    if folder is not None:
        return [_whole(p) for p in files(folder)]
    with zipfile.ZipFile(fetch(PACKAGE, store)) as bundle:
        names = sorted(n for n in bundle.namelist() if n.startswith("foolbox/data/imagenet_"))
        return [bundle.read(n) for n in names]


def _whole(path: Path) -> bytes:
    encoded = path.read_bytes()
    try:
        look(encoded, side=1)
    except Undecodable as error:
        raise error.of(str(path)) from error
    return encoded


def digest(folder: Path | None) -> str:
    """What identifies the photographs in a key."""
    if folder is None:
        return PACKAGE.sha256
    return key("photographs", files=[sha256_file(p) for p in files(folder)])


def files(folder: Path) -> list[Path]:
    """Up to 64 image files of a folder, in the order of their paths.

    Raises:
        UserError: there is none.
    """
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp", ".bmp"))
    if not found:
        raise UserError(f"{folder} holds no images.", "Parity needs real photographs (JPEG, PNG, WebP, BMP).")
    return found[:64]
