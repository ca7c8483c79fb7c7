"""What this project asks of a CUDA driver, and nothing more: memory, streams, events, graphs.

Sessions are written against these protocols, so that their logic (the life of buffers, the order of a stream, what is
said when something fails) is tested where there is no GPU, and the same tests run where there is one. All calls are
made inside ``with driver.active():``, on any thread.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from export.errors import CellError

Host = npt.NDArray[Any]
Size = tuple[int, int, int]


class Buffer(Protocol):
    """Memory on the device; ``address`` is what a kernel is given."""

    @property
    def address(self) -> int: ...
    def free(self) -> None: ...


class Event(Protocol):
    """A mark in a stream."""

    def ms_until(self, later: Event) -> float:
        """Milliseconds of the device between two marks, both of which have been passed."""


class Kernels(Protocol):
    """Device code that was loaded."""

    def get(self, name: str) -> Any:
        """The kernel of that name, for :meth:`Stream.run`.

        Raises:
            CellError: there is none.
        """


class Graph(Protocol):
    """Work that was captured once, and is launched as one."""

    def free(self) -> None: ...


class Stream(Protocol):
    """Work that the device does in order; ``handle`` is what a library is given."""

    @property
    def handle(self) -> int: ...
    def copy_in(self, to: Buffer, array: Host) -> None:
        """Copy pinned host memory to the device, without waiting."""

    def copy_out(self, array: Host, of: Buffer) -> None:
        """Copy device memory to pinned host memory, without waiting."""

    def run(self, kernel: Any, grid: Size, block: Size, *arguments: Any) -> None:
        """Launch a kernel: addresses as integers, numbers as numpy's, structures as arrays of one element."""

    def record(self, event: Event) -> None: ...
    def capture(self, work: Callable[[], None]) -> Graph:
        """What ``work`` enqueues on this stream, as a graph; nothing of it is run."""

    def launch(self, graph: Graph) -> None: ...
    def synchronize(self) -> None:
        """Wait until all that was enqueued is done."""


class Driver(Protocol):
    """The device's primary context, which the libraries share."""

    def active(self) -> AbstractContextManager[None]:
        """The context is this thread's while inside."""

    def allocate(self, size: int) -> Buffer:
        """``size`` bytes on the device.

        Raises:
            CellError: it has not so much left (see :func:`out_of_memory`).
        """

    def pinned(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Host:
        """A host array that the device can copy while the processor does something else."""

    def kernels(self, cubin: bytes) -> Kernels:
        """Load device code.

        Raises:
            CellError: it is for another GPU.
        """

    def stream(self) -> Stream: ...
    def event(self) -> Event: ...
    def close(self) -> None:
        """Let go of the context."""


def out_of_memory(asked: int, free: int, total: int) -> CellError:
    """The sentence for an allocation that the device refuses; sizes in bytes."""
    return CellError(
        f"The GPU is out of memory: {_mib(asked)} MiB were needed.",
        f"{_mib(free)} of its {_mib(total)} MiB are free.",
        "smaller batches (--batches 1), or stop other processes on the GPU (nvidia-smi)",
    )


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f}"
