"""The driver through pycuda, on the device's primary context: TensorRT and the CUDA runtime use the same one.

``pycuda.autoinit`` is never imported: it makes a context of its own. pycuda has no graphs; cuda-bindings captures and
launches them on pycuda's own stream handles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

from engines.cuda.driver import Buffer, Event, Graph, Host, Kernels, Size, Stream, out_of_memory
from export.errors import CellError, Unavailable, first_line

REMEDY = "pip install 'backbones-deployed[gpu]'"


class PycudaDriver:
    """See :class:`engines.cuda.driver.Driver`.

    Raises:
        Unavailable: pycuda is not installed, or the driver does not start.
    """

    def __init__(self) -> None:
        self._cuda = _pycuda()
        try:
            self._cuda.init()
            self._context = self._cuda.Device(0).retain_primary_context()
        except self._cuda.Error as error:
            raise Unavailable(
                "The CUDA driver does not start.", first_line(error), "nvidia-smi, to see the driver's state"
            ) from error

    @contextmanager
    def active(self) -> Iterator[None]:
        self._context.push()
        try:
            yield
        except self._cuda.Error as error:
            raise CellError("The CUDA driver reports an error.", first_line(error)) from error
        finally:
            self._context.pop()

    def allocate(self, size: int) -> Buffer:
        try:
            return PycudaBuffer(self._cuda.mem_alloc(size))
        except self._cuda.MemoryError as error:
            free, total = self._cuda.mem_get_info()
            raise out_of_memory(size, free, total) from error

    def pinned(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Host:
        array: Host = self._cuda.pagelocked_empty(shape, dtype)
        return array

    def kernels(self, cubin: bytes) -> Kernels:
        try:
            return PycudaKernels(self._cuda, self._cuda.module_from_buffer(cubin))
        except self._cuda.Error as error:
            raise CellError("The GPU does not load this device code.", first_line(error)) from error

    def stream(self) -> Stream:
        return PycudaStream(self._cuda)

    def event(self) -> Event:
        return PycudaEvent(self._cuda.Event())

    def close(self) -> None:
        self._context.detach()


class PycudaBuffer:
    """Device memory; ``address`` as an integer."""

    def __init__(self, allocation: Any) -> None:
        self._allocation = allocation
        self.address = int(allocation)

    def free(self) -> None:
        self._allocation.free()


class PycudaKernels:
    """A loaded module."""

    def __init__(self, cuda: Any, module: Any) -> None:
        self._cuda, self._module = cuda, module
        self._found: dict[str, Any] = {}

    def get(self, name: str) -> Any:
        if name not in self._found:
            try:
                self._found[name] = self._module.get_function(name)
            except self._cuda.Error as error:
                raise CellError(f"The device code has no kernel {name!r}.", first_line(error)) from error
        return self._found[name]


class PycudaEvent:
    """A pycuda event."""

    def __init__(self, event: Any) -> None:
        self.event = event

    def ms_until(self, later: Event) -> float:
        assert isinstance(later, PycudaEvent)
        return float(self.event.time_till(later.event))


class PycudaStream:
    """A pycuda stream; graphs go through cuda-bindings on its handle."""

    def __init__(self, cuda: Any) -> None:
        self._cuda = cuda
        self._stream = cuda.Stream()
        self.handle = int(self._stream.handle)

    def copy_in(self, to: Buffer, array: Host) -> None:
        self._cuda.memcpy_htod_async(to.address, array, self._stream)

    def copy_out(self, array: Host, of: Buffer) -> None:
        self._cuda.memcpy_dtoh_async(array, of.address, self._stream)

    def run(self, kernel: Any, grid: Size, block: Size, *arguments: Any) -> None:
        # an integer is an address; pycuda wants numpy's, so that it knows the size
        given = [np.uintp(argument) if isinstance(argument, int) else argument for argument in arguments]
        kernel(*given, grid=grid, block=block, stream=self._stream)

    def record(self, event: Event) -> None:
        assert isinstance(event, PycudaEvent)
        event.event.record(self._stream)

    def capture(self, work: Callable[[], None]) -> Graph:
        bindings = _bindings()
        mode = bindings.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        _checked(bindings.cuStreamBeginCapture(self.handle, mode))
        try:
            work()
        except BaseException:
            bindings.cuStreamEndCapture(self.handle)  # the stream is of no use while it captures
            raise
        (graph,) = _checked(bindings.cuStreamEndCapture(self.handle))
        try:
            (ready,) = _checked(bindings.cuGraphInstantiate(graph, 0))
        finally:
            bindings.cuGraphDestroy(graph)
        return BindingsGraph(ready)

    def launch(self, graph: Graph) -> None:
        assert isinstance(graph, BindingsGraph)
        _checked(_bindings().cuGraphLaunch(graph.ready, self.handle))

    def synchronize(self) -> None:
        self._stream.synchronize()


class BindingsGraph:
    """An instantiated graph of cuda-bindings."""

    def __init__(self, ready: Any) -> None:
        self.ready = ready

    def free(self) -> None:
        _checked(_bindings().cuGraphExecDestroy(self.ready))


def _checked(answer: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a call of cuda-bindings gives beside its error code.

    Raises:
        CellError: the code is an error.
    """
    code, *rest = answer
    if int(code):
        raise CellError("The CUDA driver reports an error.", str(getattr(code, "name", code)))
    return tuple(rest)


@cache
def _pycuda() -> Any:
    try:
        import pycuda.driver
    except ImportError as error:
        raise Unavailable("pycuda is not installed, or finds no CUDA driver.", first_line(error), REMEDY) from error
    return pycuda.driver


@cache
def _bindings() -> Any:
    try:
        from cuda.bindings import driver
    except ImportError as error:
        raise Unavailable("cuda-bindings is not installed.", first_line(error), REMEDY) from error
    return driver
