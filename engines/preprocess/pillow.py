"""The path ``pillow``: Pillow decodes and resizes, as ``export.reference`` does; sessions are given pixels.

It is what the other paths are compared with. It is slower than ``cpu`` and needs no torch: a board measures by it.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np

from engines.preprocess.base import Preprocess
from export.picture import Image
from export.reference import resize_and_crop


class PillowPreprocess(Preprocess):
    """Pillow's pixels, by Pillow."""

    @classmethod
    def implementation(cls) -> dict[str, Any]:
        return {"name": "pillow", "version": 1, "pillow": version("pillow")}

    def resize(self, image: Image) -> Image:
        return np.ascontiguousarray(resize_and_crop(image, self.spec))
