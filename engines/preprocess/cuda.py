"""The path ``cuda``: decoded photographs go up to the GPU as they are, and become the engine's input there.

The processor decodes; resize, crop and everything after happen on the engine's own stream, inside its CUDA graph where
it has one, and nothing comes back. The pixels are Pillow's (see ``engines/csrc/preprocess.cu``).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from engines.preprocess.base import Preprocess
from engines.preprocess.device import identity, program_here, refusal, run
from engines.preprocess.resize import resize
from export.picture import Image

if TYPE_CHECKING:
    from engines.base import Engine, Outputs, Session
    from engines.cuda.nvrtc import Program
    from export.store import Store


class CudaPreprocess(Preprocess):
    """``__call__`` gives decoded photographs; ``resize`` is still the processor's."""

    on_device = True

    @classmethod
    def implementation(cls) -> dict[str, Any]:
        return {"name": "cuda", "version": 1, **identity()}

    @classmethod
    def refusal(cls, engine: Engine, store: Store) -> tuple[str, str]:
        return refusal(engine, store)

    @cached_property
    def program(self) -> Program:
        """The kernels for the GPU here; raises as :func:`engines.preprocess.device.program_here`."""
        return program_here(self._store)

    def __call__(self, encoded: bytes) -> Image:
        return self.decode(encoded)

    def resize(self, image: Image) -> Image:
        return resize(image, self.spec)

    def run(self, session: Session, images: Sequence[Image]) -> Outputs:
        return run(session, images, self.program)
