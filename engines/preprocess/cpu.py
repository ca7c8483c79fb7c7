"""The path ``cpu``: Pillow decodes, torch resizes (see ``engines.preprocess.resize``), sessions are given pixels."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from engines.library import installed
from engines.preprocess.base import Preprocess
from engines.preprocess.resize import resize
from export.picture import Image

if TYPE_CHECKING:
    from engines.base import Engine
    from export.store import Store


class CpuPreprocess(Preprocess):
    """As fast as one core does it without loss."""

    @classmethod
    def implementation(cls) -> dict[str, Any]:
        return {"name": "cpu", "version": 3, "torch": installed("torch"), "pillow": version("pillow")}

    @classmethod
    def refusal(cls, engine: Engine, store: Store) -> tuple[str, str]:
        if installed("torch"):
            return "", ""
        why = "The path cpu resizes with torch, which is not installed."
        return why, "pip install 'backbones-deployed[export]'; or --preprocess pillow"

    def resize(self, image: Image) -> Image:
        return resize(image, self.spec)
