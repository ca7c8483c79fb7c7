"""The photographs that figures are taken on: made from the twenty published ones, and so the same wherever this runs.

Each is a seeded part of a published photograph, brought to a size from a list and encoded as JPEG.
"""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

from PIL import Image
from PIL import __version__ as pillow

from bench.measure.queries import read_encoded, write_encoded
from export.convert.photographs import COUNT, digest, photographs
from export.picture import decode
from export.progress import now_and_then
from export.store import Store, key

Size = tuple[int, int]
"""Width and height."""

SOURCES = COUNT
"""Photographs that are published."""
QUALITY = 95
IMAGENET: dict[Size, int] = {
    (500, 375): 500,
    (375, 500): 160,
    (500, 333): 150,
    (333, 500): 60,
    (500, 500): 30,
    (500, 400): 30,
    (400, 300): 25,
    (640, 480): 20,
    (320, 240): 15,
    (1024, 768): 10,
}
"""The sizes that are most frequent in ImageNet, about as frequent as there; a thousand."""
CAMERAS: tuple[Size, ...] = ((640, 480), (1280, 720), (1920, 1080), (1500, 1000), (2048, 1536), (4000, 3000))
"""Sizes of sensors and videos; half of the photographs are upright."""


def imagenet(store: Store) -> list[bytes]:
    """A thousand JPEGs of sizes as ImageNet has them, in random order."""
    sizes = [size for size, count in IMAGENET.items() for _ in range(count)]
    random.Random(0).shuffle(sizes)
    return _made("imagenet", sizes, store)


def odd(store: Store) -> list[bytes]:
    """A hundred JPEGs with sides that are in no simple ratio to those of a network."""
    draw = random.Random(1)
    return _made("odd", [(draw.randrange(301, 700, 2), draw.randrange(301, 700, 2)) for _ in range(100)], store)


def cameras(store: Store) -> list[bytes]:
    """JPEGs of the sizes that cameras make, lying and upright."""
    return _made("cameras", [*CAMERAS, *((height, width) for width, height in CAMERAS)], store)


def source(index: int) -> int:
    """Which of the published photographs the one at ``index`` of a list is a part of."""
    return index % SOURCES


def _made(name: str, sizes: list[Size], store: Store) -> list[bytes]:
    """A JPEG for each of ``sizes``, from the store.

    Raises:
        Unavailable: the published photographs cannot be had.
    """

    def build(folder: Path) -> dict[str, Any]:
        published = [Image.fromarray(decode(encoded)) for encoded in photographs(store)]
        line = now_and_then(f"making photographs ({name})")
        found = []
        for i, size in enumerate(sizes):
            found.append(_part(published[source(i)], size, random.Random(i)))
            line(i + 1, len(sizes))
        return write_encoded(folder, found)

    fields = {"of": digest(None), "sizes": [list(size) for size in sizes], "quality": QUALITY, "pillow": pillow}
    return read_encoded(store.obtain("photographs", key("photographs-made", version=1, **fields), build))


def _part(photograph: Image.Image, size: Size, draw: random.Random) -> bytes:
    """A JPEG of ``size``: a drawn part of the photograph, of the same shape and at least half as wide or high."""
    scale = draw.uniform(0.5, 1.0) * min(a / b for a, b in zip(photograph.size, size, strict=True))
    width, height = (scale * side for side in size)
    left, top = draw.uniform(0, photograph.width - width), draw.uniform(0, photograph.height - height)
    part = photograph.resize(size, Image.Resampling.BICUBIC, box=(left, top, left + width, top + height))
    out = io.BytesIO()
    part.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()
