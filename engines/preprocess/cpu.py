"""The path ``cpu``: Pillow decodes, torch resizes (see ``engines.preprocess.resize``), sessions are given pixels."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from engines.preprocess.base import Preprocess
from engines.preprocess.resize import resize
from export.picture import Image

if TYPE_CHECKING:
    from engines.base import Outputs, Session


class CpuPreprocess(Preprocess):
    """As fast as one core does it without loss."""

    @classmethod
    def implementation(cls) -> dict[str, Any]:
        return {"name": "cpu", "version": 3, "torch": version("torch"), "pillow": version("pillow")}

    def __call__(self, encoded: bytes) -> Image:
        return self.resize(self.decode(encoded))

    def resize(self, image: Image) -> Image:
        return resize(image, self.spec)

    def run(self, session: Session, images: Sequence[Image]) -> Outputs:
        return session.run(np.stack(images))
