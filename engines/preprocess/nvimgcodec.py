"""The path ``nvimgcodec``: decode, resize and crop on the GPU; the processor only hands over the files' bytes.

Another decoder gives other pixels than Pillow's, by a rounding or by more where chroma is enlarged otherwise: so it is
a path of its own, with its own keys. It is given plain pictures only: what transparency, 16 bits or CMYK become is
decided in one place, :mod:`export.picture`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from engines.cuda.nvimgcodec import PACKAGE, NvImageDecoder
from engines.library import installed
from engines.preprocess.base import Preprocess
from engines.preprocess.device import identity, program_here, refusal, run
from engines.preprocess.resize import resize
from export.errors import CellError
from export.picture import Image, plain

if TYPE_CHECKING:
    from engines.base import Engine, Outputs, Session
    from engines.cuda.nvrtc import Program
    from export.store import Store


class NvImageCodecPreprocess(Preprocess):
    """``__call__`` gives the encoded bytes as uint8 [n]."""

    on_device = True
    orientations = ("stored",)

    @classmethod
    def implementation(cls) -> dict[str, Any]:
        return {"name": "nvimgcodec", "version": 1, **identity(), "nvimgcodec": installed(PACKAGE)}

    @classmethod
    def refusal(cls, engine: Engine, store: Store) -> tuple[str, str]:
        return refusal(engine, store, PACKAGE)

    @cached_property
    def program(self) -> Program:
        """The kernels for the GPU here; raises as :func:`engines.preprocess.device.program_here`."""
        return program_here(self._store)

    @cached_property
    def decoder(self) -> NvImageDecoder:
        """The decoder; raises what it does."""
        return NvImageDecoder()

    def __call__(self, encoded: bytes) -> Image:
        """Raises CellError too, for a picture that is not plain."""
        if not plain(encoded):
            raise CellError(
                "nvimgcodec decodes plain pictures only: 8-bit grey or RGB, of one frame, without transparency.",
                "Another may come out otherwise than Pillow reads it.",
                "--preprocess cuda, which decodes with Pillow",
            )
        return np.frombuffer(encoded, np.uint8)

    def resize(self, image: Image) -> Image:
        return resize(image, self.spec)

    def run(self, session: Session, images: Sequence[Image]) -> Outputs:
        decoded = self.decoder.decode([image.tobytes() for image in images])
        return run(session, decoded, self.program)
