"""What a preprocessing path is: from an encoded photograph to what a session is given, and the session's run on it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from export.picture import VERSION, Image, Orientation, decode
from export.spec import PreprocessSpec
from export.store import Store

if TYPE_CHECKING:
    from engines.base import Engine, Outputs, Session


class Preprocess(ABC):
    """The geometric part of a spec. Any number of threads may use one.

    A path must not shortcut the decoding (a JPEG draft is another image), nor touch values on the host (see
    ``engines.preprocess.normalize``).
    """

    on_device: ClassVar[bool] = False
    """Whether sessions are given decoded photographs, and not pixels."""
    ready: ClassVar[bool] = False
    """Whether it is given pixels that were prepared elsewhere, and no photographs."""
    orientations: ClassVar[tuple[Orientation, ...]] = ("stored", "exif")
    """What of EXIF orientation it can do: leave pixels as stored, turn them upright."""

    def __init__(self, spec: PreprocessSpec, store: Store, orientation: Orientation = "stored") -> None:
        self.spec, self._store, self.orientation = spec, store, orientation

    @classmethod
    @abstractmethod
    def implementation(cls) -> dict[str, Any]:
        """This path and the libraries that do the work: what of it can change a pixel."""

    @classmethod
    def identity(cls, orientation: Orientation) -> dict[str, Any]:
        """All that can change a pixel, for keys, but not the spec: the implementation, and how files are read."""
        return {**cls.implementation(), "decode": VERSION, "orientation": orientation}

    @classmethod
    def refusal(cls, engine: Engine, store: Store) -> tuple[str, str]:
        """Why an engine cannot be fed by this path here, with what the store has, and how to change that; both empty
        where it can."""
        return "", ""

    def decode(self, encoded: bytes) -> Image:
        """Encoded image → uint8 RGB [h, w, 3]; raises what :func:`export.picture.decode` does."""
        return decode(encoded, self.orientation)

    @abstractmethod
    def resize(self, image: Image) -> Image:
        """On the host: uint8 RGB [h, w, 3] → uint8 RGB [height, width, 3]."""

    def __call__(self, encoded: bytes) -> Image:
        """Encoded image → what :meth:`run` takes: on the host, pixels; raises what :meth:`decode` does."""
        return self.resize(self.decode(encoded))

    def run(self, session: Session, images: Sequence[Image]) -> Outputs:
        """Features of a batch of what :meth:`__call__` gave; raises what the session does."""
        return session.run(np.stack(images))
