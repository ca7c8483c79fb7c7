"""digits: 1,797 handwritten digits of 8 x 8 pixels that come inside scikit-learn. For tests only."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from export.errors import Unavailable
from export.store import Store
from tasks.data.files import from_memory
from tasks.data.layout import Item, Source
from tasks.data.sets import png


def source(name: str, folder: Path | None, store: Store) -> Source:
    """List the digits; grey values 0 … 16 become 0 … 255.

    Raises:
        Unavailable: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise Unavailable(
            "digits comes inside scikit-learn, which is not installed.", str(error), "pip install scikit-learn"
        ) from error

    digits = load_digits()
    pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)
    items = [Item(f"{label}/{i:04d}.png", str(label)) for i, label in enumerate(digits.target)]
    place = {item.id: i for i, item in enumerate(items)}
    files = from_memory(place, lambda id: png.encode(pixels[place[id]]), "digits of scikit-learn")
    return Source(name, items, files, "CC BY 4.0")
