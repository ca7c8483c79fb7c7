"""Photographs that are drawn: class folders of noisy pictures whose colour tells the class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def draw(
    folder: Path, classes: int = 3, each: int = 20, height: int = 170, width: int = 180, ending: str = "jpg"
) -> Path:
    """``folder/class0/00.jpg`` …, the same ones each time; returns the folder."""
    noise = np.random.default_rng(0)
    for c in range(classes):
        (folder / f"class{c}").mkdir(parents=True)
        for i in range(each):
            pixels = noise.integers(0, 120, (height, width, 3), dtype=np.uint8)
            pixels[..., c % 3] += 100
            Image.fromarray(pixels).save(folder / f"class{c}" / f"{i:02d}.{ending}")
    return folder
