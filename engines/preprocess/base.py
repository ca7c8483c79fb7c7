"""What a preprocessing path is: from an encoded photograph to what a session is given, and the session's run on it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from export.reference import Image, decode
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

    def __init__(self, spec: PreprocessSpec, store: Store) -> None:
        self.spec, self._store = spec, store

    @classmethod
    @abstractmethod
    def identity(cls) -> dict[str, Any]:
        """What can change a pixel, for keys: this path and the libraries that do the work, but not the spec."""

    @classmethod
    def refusal(cls, engine: Engine) -> str:
        """Why an engine cannot be fed by this path here; empty where it can."""
        return ""

    def decode(self, encoded: bytes) -> Image:
        """Encoded image → uint8 RGB [h, w, 3], as :func:`export.reference.decode`.

        Raises:
            Undecodable: the bytes are not a whole image.
        """
        return decode(encoded)

    @abstractmethod
    def resize(self, image: Image) -> Image:
        """On the host: uint8 RGB [h, w, 3] → uint8 RGB [height, width, 3]."""

    @abstractmethod
    def __call__(self, encoded: bytes) -> Image:
        """Encoded image → what :meth:`run` takes; raises what :meth:`decode` does."""

    @abstractmethod
    def run(self, session: Session, images: Sequence[Image]) -> Outputs:
        """Features of a batch of what :meth:`__call__` gave; raises what the session does."""
