"""Emoji: the same 1,599 signs, drawn by several vendors. Which drawing of Google's is the one that Twitter drew?

``emoji_twitter`` and ``emoji_fluent`` search Google's drawings (64 x 64) for Twitter's (64 x 64), or for Microsoft's in
three dimensions (256 x 256). A class is an emoji, and has one image on either side. Taken are those that all three
drew, without flags (which all vendors draw alike) and without variants of skin tone.

The files are transparent around the drawing, and what colour lies under transparency is chance (mostly black). So each
is laid on white, as a page would show it, and given as a lossless PNG.

Where a vendor gives several emoji one and the same file (families, on Twitter), queries for them are identical: the
gallery images of the others are junk for each.
"""

from __future__ import annotations

import io
import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from export.errors import UserError
from export.packages import Package, fetch
from export.store import Store, key
from tasks.data.archives import from_archive
from tasks.data.files import Files, from_memory
from tasks.data.layout import Item, Source
from tasks.data.sets import png

GOOGLE = Package(
    "emoji-datasource-google",
    "16.0.0",
    "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438",
    "Apache-2.0",
    npm=True,
)
TWITTER = Package(
    "emoji-datasource-twitter",
    "16.0.0",
    "f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877",
    "CC BY 4.0",
    npm=True,
)
FLUENT = Package(
    "@lobehub/fluent-emoji-3d",
    "1.1.0",
    "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58",
    "MIT",
    npm=True,
)
"""The licences are those of the drawings: the README of the first two names them, the third's package.json says MIT."""
PLACES = {
    GOOGLE: "package/img/google/64/{}.png",
    TWITTER: "package/img/twitter/64/{}.png",
    FLUENT: "package/assets/{}.webp",
}
QUERIES = {"emoji_twitter": TWITTER, "emoji_fluent": FLUENT}
VERSION = 1


def source(name: str, folder: Path | None, store: Store) -> Source:
    """List the drawings; ``folder`` may name where ``npm pack`` has put the archives.

    Raises:
        Unavailable: npm is not installed, or its registry cannot be reached.
        UserError: an archive is not in ``folder``.
    """
    wanted = QUERIES[name]
    archives = {package: _archive(package, folder, store) for package in dict.fromkeys((GOOGLE, wanted, FLUENT))}
    drawn = _drawn_by_all(archives)
    members = {f"gallery/{code}.png": (GOOGLE, code) for code in drawn}
    members |= {f"query/{code}.png": (wanted, code) for code in drawn}

    def encoded(sample_id: str) -> bytes:
        package, code = members[sample_id]
        return archives[package].read(PLACES[package].format(code))

    items = [
        Item(id, drawn[code], "train" if id.startswith("gallery/") else "test") for id, (_, code) in members.items()
    ]
    pins = [GOOGLE.sha256, wanted.sha256] if folder is None else [archives[p].origin for p in (GOOGLE, wanted)]
    files = from_memory(members, lambda id: on_white(encoded(id)), key("emoji", version=VERSION, of=pins))
    junk = _alike({code: [encoded(f"{side}/{code}.png") for side in ("query", "gallery")] for code in drawn})
    licence = f"{GOOGLE.licence} (gallery), {wanted.licence} (queries)"
    note = "transparent parts of the drawings are white"
    return Source(name, items, files, licence, (note,), classes=tuple(sorted(drawn.values())), gallery=True, junk=junk)


def on_white(encoded: bytes) -> bytes:
    """An image with transparency (PNG, WebP) laid on white, as a lossless RGB PNG."""
    from PIL import Image

    with Image.open(io.BytesIO(encoded)) as image:
        drawing = image.convert("RGBA")
    page = Image.new("RGBA", drawing.size, "white")
    page.alpha_composite(drawing)
    return png.encode(np.asarray(page.convert("RGB")))


def _archive(package: Package, folder: Path | None, store: Store) -> Files:
    if folder is None:
        return from_archive(fetch(package, store), store)
    path = folder / f"{package.name.removeprefix('@').replace('/', '-')}-{package.version}.tgz"
    if not path.exists():
        raise UserError(f"There is no {path}.", "", f"npm pack {package.requirement}, in that folder")
    return from_archive(path, store)


def _drawn_by_all(archives: dict[Package, Files]) -> dict[str, str]:
    """Code points, as the files are named → the emoji's name."""
    found = {}
    for row in json.loads(archives[GOOGLE].read("package/emoji.json")):
        code = row["image"].removesuffix(".png")
        taken = row["category"] not in ("Flags", "Component")
        if taken and all(PLACES[package].format(code) in files.stamps for package, files in archives.items()):
            found[code] = row["short_name"]
    return dict(sorted(found.items()))


def _alike(drawings: dict[str, list[bytes]]) -> tuple[tuple[str, str], ...]:
    """Pairs of a query and a gallery image of another emoji, where the two emoji share a file on either side."""
    pairs = set()
    for side in (0, 1):
        same: dict[bytes, list[str]] = defaultdict(list)
        for code, encoded in drawings.items():
            same[encoded[side]].append(code)
        pairs |= {
            (f"query/{one}.png", f"gallery/{other}.png")
            for group in same.values()
            for one in group
            for other in group
            if one != other
        }
    return tuple(sorted(pairs))
