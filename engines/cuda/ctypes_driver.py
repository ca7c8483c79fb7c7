"""The driver by ctypes over the CUDA driver's own library: a machine needs no package for it, and a board has none.

On the device's primary context, which TensorRT and the CUDA runtime use too. Streams and events have the flags that
pycuda gives them, so that the two implementations enqueue the same work.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import CDLL, byref, c_float, c_int, c_size_t, c_ubyte, c_void_p
from math import prod
from threading import Lock
from typing import Any

import numpy as np

from engines.cuda.driver import Buffer, Event, Graph, Host, Kernels, Size, Stream, out_of_memory
from engines.cuda.libcuda import OUT_OF_MEMORY, THREAD_LOCAL, Cuda, DevicePointer, Handle, library
from export.errors import CellError, Unavailable


class CtypesDriver:
    """See :class:`engines.cuda.driver.Driver`.

    Args:
        given: the driver's library, typed (:func:`engines.cuda.libcuda.typed`); the machine's own by default.

    Raises:
        Unavailable: there is no such library, or it does not start.
    """

    def __init__(self, given: CDLL | None = None) -> None:
        found = given or library()
        if found is None:
            raise Unavailable("CUDA is not available: the NVIDIA driver (libcuda) is missing.")
        self.cuda = Cuda(found)
        self._device, self._context = c_int(), Handle()
        self._closed, self._lock = False, Lock()
        self._living: list[weakref.finalize[Any, Any]] = []
        self._dead: deque[tuple[str, Any]] = deque()
        try:
            self.cuda("cuInit", 0)
            self.cuda("cuDeviceGet", byref(self._device), 0)
            self.cuda("cuDevicePrimaryCtxRetain", byref(self._context), self._device)
        except CellError as error:
            raise Unavailable(
                "The CUDA driver does not start.", error.why, "nvidia-smi, to see the driver's state"
            ) from error

    @contextmanager
    def active(self) -> Iterator[None]:
        self.cuda("cuCtxPushCurrent_v2", self._context)
        try:
            yield
        finally:
            self.cuda("cuCtxPopCurrent_v2", byref(Handle()))

    def allocate(self, size: int) -> Buffer:
        self._free_dead()
        address = DevicePointer()
        code = self.cuda.library.cuMemAlloc_v2(byref(address), size)
        if code == OUT_OF_MEMORY:
            free, total = c_size_t(), c_size_t()
            self.cuda("cuMemGetInfo_v2", byref(free), byref(total))
            raise out_of_memory(size, free.value, total.value)
        if code:
            raise CellError("The CUDA driver reports an error.", f"cuMemAlloc_v2: {self.cuda.words(code)}.")
        return CtypesBuffer(self, "cuMemFree_v2", address.value)

    def pinned(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Host:
        self._free_dead()
        count, address = prod(shape), c_void_p()
        size = max(count * dtype.itemsize, 1)
        self.cuda("cuMemHostAlloc", byref(address), size, 0)
        assert address.value is not None
        memory = (c_ubyte * size).from_address(address.value)
        self.own(memory, "cuMemFreeHost", address.value)  # an array, and every view of it, keeps `memory`
        found: Host = np.frombuffer(memoryview(memory), dtype, count).reshape(shape)
        return found

    def kernels(self, cubin: bytes) -> Kernels:
        module = Handle()
        try:
            self.cuda("cuModuleLoadData", byref(module), cubin)
        except CellError as error:
            raise CellError("The GPU does not load this device code.", error.why) from error
        return CtypesKernels(self, "cuModuleUnload", module.value)

    def stream(self) -> Stream:
        self._free_dead()
        stream = Handle()
        self.cuda("cuStreamCreate", byref(stream), 0)
        return CtypesStream(self, "cuStreamDestroy_v2", stream.value)

    def event(self) -> Event:
        self._free_dead()
        event = Handle()
        self.cuda("cuEventCreate", byref(event), 0)
        return CtypesEvent(self, "cuEventDestroy_v2", event.value)

    def close(self) -> None:
        if self._closed:
            return
        with self.active():
            for finalizer in self._living:
                finalizer()
            self._free_dead()
        self._closed = True
        self.cuda("cuDevicePrimaryCtxRelease_v2", self._device)

    def own(self, what: Any, function: str, handle: Any) -> weakref.finalize[Any, Any]:
        """``function`` frees ``handle`` once nothing refers to ``what``; at the latest when the driver is closed.

        Not at once: the garbage collector may run anywhere, also while a stream captures, which forbids it.
        """
        finalizer = weakref.finalize(what, self._dead.append, (function, handle))
        finalizer.atexit = False
        with self._lock:
            self._living.append(finalizer)
        return finalizer

    def _free_dead(self) -> None:
        with self._lock:
            self._living = [finalizer for finalizer in self._living if finalizer.alive]
        while True:
            try:
                function, handle = self._dead.popleft()
            except IndexError:  # another thread may have freed the last
                return
            self.cuda(function, handle)


class Resource:
    """What the driver made: its handle, and the function that frees it."""

    def __init__(self, driver: CtypesDriver, function: str, handle: Any) -> None:
        self.cuda, self.handle = driver.cuda, handle
        self._function = function
        self._finalizer = driver.own(self, function, handle)

    def free(self) -> None:
        if self._finalizer.detach():
            self.cuda(self._function, self.handle)


class CtypesBuffer(Resource):
    """Device memory."""

    @property
    def address(self) -> int:
        return int(self.handle)


class CtypesGraph(Resource):
    """An instantiated graph."""


class CtypesEvent(Resource):
    """An event that keeps its time."""

    def ms_until(self, later: Event) -> float:
        assert isinstance(later, CtypesEvent)
        found = c_float()
        self.cuda("cuEventElapsedTime", byref(found), self.handle, later.handle)
        return found.value


class CtypesKernels(Resource):
    """A loaded module."""

    def __init__(self, driver: CtypesDriver, function: str, handle: Any) -> None:
        super().__init__(driver, function, handle)
        self._found: dict[str, int | None] = {}

    def get(self, name: str) -> Any:
        if name not in self._found:
            kernel = Handle()
            try:
                self.cuda("cuModuleGetFunction", byref(kernel), self.handle, name.encode())
            except CellError as error:
                raise CellError(f"The device code has no kernel {name!r}.", error.why) from error
            self._found[name] = kernel.value
        return self._found[name]


class CtypesStream(Resource):
    """A stream."""

    def __init__(self, driver: CtypesDriver, function: str, handle: Any) -> None:
        super().__init__(driver, function, handle)
        self._driver = driver

    def copy_in(self, to: Buffer, array: Host) -> None:
        self.cuda("cuMemcpyHtoDAsync_v2", to.address, array.ctypes.data, array.nbytes, self.handle)

    def copy_out(self, array: Host, of: Buffer) -> None:
        self.cuda("cuMemcpyDtoHAsync_v2", array.ctypes.data, of.address, array.nbytes, self.handle)

    def run(self, kernel: Any, grid: Size, block: Size, *arguments: Any) -> None:
        # an integer is an address; what is numpy's has its own size. The driver copies the values at the launch.
        values = [np.asarray(np.uint64(a) if isinstance(a, int) else a) for a in arguments]
        pointers = (c_void_p * len(values))(*(value.ctypes.data for value in values))
        self.cuda("cuLaunchKernel", kernel, *grid, *block, 0, self.handle, pointers, None)

    def record(self, event: Event) -> None:
        assert isinstance(event, CtypesEvent)
        self.cuda("cuEventRecord", event.handle, self.handle)

    def capture(self, work: Callable[[], None]) -> Graph:
        graph, ready = Handle(), Handle()
        self.cuda("cuStreamBeginCapture_v2", self.handle, THREAD_LOCAL)
        try:
            work()
        except BaseException:
            self.cuda.library.cuStreamEndCapture(self.handle, byref(graph))  # it is of no use while it captures
            if graph.value:
                self.cuda("cuGraphDestroy", graph)
            raise
        self.cuda("cuStreamEndCapture", self.handle, byref(graph))
        try:
            self.cuda("cuGraphInstantiateWithFlags", byref(ready), graph, 0)
        finally:
            self.cuda("cuGraphDestroy", graph)
        return CtypesGraph(self._driver, "cuGraphExecDestroy", ready.value)

    def launch(self, graph: Graph) -> None:
        assert isinstance(graph, CtypesGraph)
        self.cuda("cuGraphLaunch", graph.handle, self.handle)

    def synchronize(self) -> None:
        self.cuda("cuStreamSynchronize", self.handle)
