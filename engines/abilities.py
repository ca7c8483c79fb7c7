"""What a session may be able to do beyond :meth:`engines.base.Session.run`: protocols that it is, or is not.

Whoever needs one asks with ``isinstance``, or, before a session is open, with ``issubclass`` of ``Engine.session``.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Protocol, runtime_checkable

from engines.base import Outputs, Pixels
from engines.cuda.nvimgcodec import DeviceImage
from engines.cuda.nvrtc import Program


@runtime_checkable
class Streams(Protocol):
    """Overlaps the copies of one batch with the work of another."""

    def stream(self, batches: Iterable[Pixels]) -> Generator[Outputs, None, None]:
        """Run batch after batch, several under way at once; results in order.

        Nothing else may use the session until the iterator has ended or was closed.

        Args:
            batches: each as :meth:`engines.base.Session.run` takes it; raises what that does.
        """


@runtime_checkable
class TimesDevice(Protocol):
    """Times its device apart from the host."""

    def device_ms(self, pixels: Pixels, count: int) -> list[float]:
        """Milliseconds of the device for each of ``count`` runs over pixels that lie there, by its own events.

        Args:
            pixels: as :meth:`engines.base.Session.run` takes them; raises what that does.

        Raises:
            CellError: the events claim more time than has passed.
        """

    def bare_ms(self, pixels: Pixels, count: int) -> list[float]:
        """The same by the least code that can run the plan (enqueue, event, wait); nothing of the session."""


@runtime_checkable
class PreprocessesPhotographs(Protocol):
    """Takes photographs as they were decoded, and preprocesses them on its own device."""

    def run_photographs(self, photographs: Sequence[Pixels | DeviceImage], program: Program) -> Outputs:
        """Features of decoded photographs of any sizes.

        Args:
            photographs: uint8 RGB [h, w, 3] each, or all of them on the device already; as many as one of the
                profile's batch sizes.
            program: the kernels, compiled for that device (see ``engines.preprocess.device``).

        Returns:
            For each output its array [n, …], float32, owned by the caller.

        Raises:
            UserError: the session is closed. CellError: the photographs are not as above.
        """

    def photographs_ms(self, photographs: Sequence[Pixels | DeviceImage], program: Program, count: int) -> list[float]:
        """Milliseconds of the device for each of ``count`` runs over photographs that lie there: preprocessing and
        inference as one graph.
        """
