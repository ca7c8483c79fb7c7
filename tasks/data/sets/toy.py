"""toy: coloured shapes drawn with numpy, so that the whole pipeline can be tested on a laptop without a network."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from export.store import Store
from tasks.data.files import from_memory
from tasks.data.layout import Item, Source
from tasks.data.sets import png

SHAPES = ("cross", "disc", "ring", "square")
EACH = 45
SIDE = 64


def source(name: str, folder: Path | None, store: Store) -> Source:
    """List 45 pictures of each of four shapes; they are drawn when they are read."""
    items = [Item(f"{shape}/{i:02d}.png", shape) for shape in SHAPES for i in range(EACH)]
    files = from_memory([item.id for item in items], lambda id: png.encode(drawn(id)), "toy 1")
    return Source(name, items, files, "CC0-1.0")


def drawn(id: str) -> npt.NDArray[np.uint8]:
    """One picture, RGB uint8 [64, 64, 3]: place, size, colours and noise follow from its name."""
    seed = np.frombuffer(hashlib.sha256(id.encode()).digest(), np.uint8).astype(np.int64)
    x, y = 24 + seed[0] % 17, 24 + seed[1] % 17
    radius = 12 + seed[2] % 9
    rows, columns = np.mgrid[:SIDE, :SIDE]
    dx, dy = np.abs(columns - x), np.abs(rows - y)
    distance = dx * dx + dy * dy
    inside = {
        "cross": (np.minimum(dx, dy) <= radius // 4) & (np.maximum(dx, dy) <= radius),
        "disc": distance <= radius * radius,
        "ring": (distance <= radius * radius) & (4 * distance >= radius * radius),
        "square": np.maximum(dx, dy) <= radius,
    }[id.partition("/")[0]]
    ground, ink = seed[3:6] // 3, 255 - seed[6:9] // 3
    noise = (
        rows[..., None] * seed[9:12] + columns[..., None] * seed[12:15] + rows[..., None] * columns[..., None]
    ) % 23
    picture = np.where(inside[..., None], ink, ground) + noise - 11
    return np.asarray(np.clip(picture, 0, 255), np.uint8)
