"""A CUDA device and a TensorRT that keep the rules and compute nothing but means: for what a session must get right.

Work is done only when somebody waits for it, in an order drawn from a seed that respects nothing but the order within
each stream. So a buffer that is written too early, or read before the wait, gives a wrong result here, as it might on
a real device, and not only sometimes. Memory is counted; what is freed is gone; copies need pinned memory; a capture
forbids allocating and waiting.
"""

from __future__ import annotations

import ctypes
import random
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np

from engines.cuda.driver import Buffer, Event, Graph, Host, Kernels, Size, Stream, out_of_memory
from engines.preprocess.normalize import PIXELS

Work = Callable[[], None]


class FakeBuffer:
    """Its address is one of this process, so that a kernel compiled for the host can work on it."""

    def __init__(self, driver: FakeDriver, size: int) -> None:
        self.driver, self.bytes = driver, np.zeros(size, np.uint8)
        self.bytes[:] = 0xAB  # what an allocation holds is anybody's guess
        self.address = self.bytes.ctypes.data
        driver.memory[self.address] = self.bytes

    def free(self) -> None:
        assert self.address in self.driver.memory, "freed twice"
        assert not self.driver.capturing, "freed while a stream captures"
        del self.driver.memory[self.address]


class FakeEvent:
    ms: float | None = None

    def ms_until(self, later: Event) -> float:
        assert isinstance(later, FakeEvent)
        assert self.ms is not None, "not passed yet"
        assert later.ms is not None, "not passed yet"
        return later.ms - self.ms


class FakeGraph:
    def __init__(self, driver: FakeDriver, work: list[Work]) -> None:
        self.driver, self.work = driver, work
        driver.graphs += 1

    def free(self) -> None:
        self.driver.graphs -= 1


class FakeStream:
    def __init__(self, driver: FakeDriver) -> None:
        self.driver, self.queue = driver, deque[Work]()
        self.captured: list[Work] | None = None
        self.handle = 1000 + len(driver.streams)
        driver.streams[self.handle] = self

    def enqueue(self, work: Work) -> None:
        self.driver.require_active()
        if self.captured is not None:
            self.captured.append(work)
        else:
            self.queue.append(work)

    def copy_in(self, to: Buffer, array: Host) -> None:
        self.driver.require_pinned(array)
        self.enqueue(lambda: self.driver.write(to.address, array.tobytes()))

    def copy_out(self, array: Host, of: Buffer) -> None:
        self.driver.require_pinned(array)

        def work() -> None:
            array[...] = np.frombuffer(self.driver.read(of.address, array.nbytes), array.dtype).reshape(array.shape)

        self.enqueue(work)

    def run(self, kernel: Any, grid: Size, block: Size, *arguments: Any) -> None:
        assert block == (32, 8, 1)
        given = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]  # arguments are copied at the launch

        def work() -> None:
            for address in given[:3]:
                assert not isinstance(address, int) or address in self.driver.memory, "used after it was freed"
            kernel(*grid, *(_pointer(a) for a in given))

        self.enqueue(work)

    def record(self, event: Event) -> None:
        assert isinstance(event, FakeEvent)
        self.enqueue(lambda: setattr(event, "ms", self.driver.device_clock_ms))

    def capture(self, work: Work) -> Graph:
        assert self.captured is None
        self.captured = []
        self.driver.capturing = True
        try:
            work()
            return FakeGraph(self.driver, self.captured)
        finally:
            self.captured, self.driver.capturing = None, False

    def launch(self, graph: Graph) -> None:
        assert isinstance(graph, FakeGraph)
        for work in graph.work:
            self.enqueue(work)

    def synchronize(self) -> None:
        self.driver.require_active()
        assert not self.driver.capturing, "waited while a stream captures"
        while self.queue:
            busy = [s for s in self.driver.streams.values() if s.queue]
            self.driver.draw.choice(busy).queue.popleft()()


def _pointer(argument: Any) -> Any:
    if isinstance(argument, np.ndarray):
        return ctypes.c_void_p(argument.ctypes.data)
    return ctypes.c_void_p(argument) if isinstance(argument, int) else int(argument)


class FakeKernels:
    """The kernels that were compiled for the host; ``code`` is the library's path."""

    def __init__(self, code: bytes) -> None:
        self._library = ctypes.CDLL(code.decode())

    def get(self, name: str) -> Any:
        return getattr(self._library, f"launch_{name}")


class FakeDriver:
    """``size`` bytes of memory; ``seed`` draws the order of work; ``tick_ms`` of the device pass in each run."""

    def __init__(self, size: int = 1 << 24, seed: int = 0, tick_ms: float = 0.0) -> None:
        self.size, self.draw, self.tick_ms = size, random.Random(seed), tick_ms
        self.memory: dict[int, Any] = {}
        self.streams: dict[int, FakeStream] = {}
        self.pinned_at: dict[int, int] = {}
        self.graphs, self.depth = 0, 0
        self.device_clock_ms = 0.0
        self.capturing = self.closed = False

    @contextmanager
    def active(self) -> Iterator[None]:
        assert not self.closed, "used after it was closed"
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1

    def require_active(self) -> None:
        assert self.depth > 0, "the context is not this thread's"

    def allocate(self, size: int) -> Buffer:
        self.require_active()
        assert not self.capturing, "allocated while a stream captures"
        used = sum(len(m) for m in self.memory.values())
        if used + size > self.size:
            raise out_of_memory(size, self.size - used, self.size)
        return FakeBuffer(self, size)

    def pinned(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Host:
        self.require_active()
        array = np.empty(shape, dtype)
        self.pinned_at[array.ctypes.data] = array.nbytes
        return array

    def require_pinned(self, array: Host) -> None:
        assert array.flags.c_contiguous
        assert self.pinned_at.get(array.ctypes.data, 0) >= array.nbytes, "an asynchronous copy needs pinned memory"

    def kernels(self, cubin: bytes) -> Kernels:
        self.require_active()
        return FakeKernels(cubin)

    def stream(self) -> Stream:
        self.require_active()
        return FakeStream(self)

    def event(self) -> Event:
        return FakeEvent()

    def close(self) -> None:
        self.closed = True

    def read(self, address: int, size: int) -> bytes:
        assert address in self.memory, "read after it was freed"
        assert size <= len(self.memory[address])
        return bytes(self.memory[address][:size])

    def write(self, address: int, data: bytes) -> None:
        assert address in self.memory, "written after it was freed"
        assert len(data) <= len(self.memory[address])
        self.memory[address][: len(data)] = np.frombuffer(data, np.uint8)


class FakeContext:
    """Its network gives the mean of each colour, over 255."""

    def __init__(self, engine: FakeEngine) -> None:
        self.engine, self.profile = engine, -1
        self.shape: tuple[int, ...] = ()
        self.addresses: dict[str, int] = {}
        self.runs = 0

    def set_optimization_profile_async(self, index: int, handle: int) -> bool:
        self.profile = index
        return index < len(self.engine.library.batches)

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.shape = tuple(shape)
        return name == PIXELS and self.shape[0] == self.engine.library.batches[self.profile]

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return name in self.engine.tensors

    def execute_async_v3(self, handle: int) -> bool:
        library = self.engine.library
        driver = library.driver
        if library.fails:
            library.say("the kernel could not be launched")
            return False
        assert self.runs or not driver.capturing, "the first run allocates, which a capture forbids"
        self.runs += 1

        def work() -> None:
            size = int(np.prod(self.shape))
            pixels = np.frombuffer(driver.read(self.addresses[PIXELS], size), np.uint8).reshape(self.shape)
            features = (pixels.mean(axis=(1, 2)) / 255).astype(np.float32)
            driver.write(self.addresses["features"], features.tobytes())
            driver.device_clock_ms += driver.tick_ms

        driver.streams[handle].enqueue(work)
        return True


class FakeEngine:
    def __init__(self, library: FakeLibrary) -> None:
        self.library = library
        self.tensors = dict(library.tensors)
        self.num_io_tensors = len(self.tensors)

    def get_tensor_name(self, index: int) -> str:
        return list(self.tensors)[index]

    def get_tensor_mode(self, name: str) -> str:
        return "in" if name == PIXELS else "out"

    def get_tensor_dtype(self, name: str) -> str:
        return self.tensors[name]

    def create_execution_context(self) -> FakeContext | None:
        return FakeContext(self) if self.library.opens else None

    def create_engine_inspector(self) -> Any:
        layers = [{"Name": "mean", "LayerType": "reduce", "Inputs": [{"Datatype": "Float"}], "Outputs": []}]
        return SimpleNamespace(get_engine_information=lambda form: str({"Layers": layers}).replace("'", '"'))


class FakeLibrary:
    """What a session takes of TensorRT's module; change a field to make it fail there."""

    TensorIOMode = SimpleNamespace(INPUT="in", OUTPUT="out")
    DataType = SimpleNamespace(UINT8="uint8", FLOAT="float")
    LayerInformationFormat = SimpleNamespace(JSON="json")

    class ILogger:
        def __init__(self) -> None:
            pass

    def __init__(self, driver: FakeDriver, batches: tuple[int, ...] = (1, 4)) -> None:
        self.driver, self.batches = driver, batches
        self.tensors = {PIXELS: "uint8", "features": "float"}
        self.loads = self.opens = True
        self.fails = False
        self.logger: Any = None

    def say(self, message: str) -> None:
        self.logger.log(SimpleNamespace(name="ERROR"), message)

    def Runtime(self, logger: Any) -> Any:
        self.logger = logger

        def deserialize_cuda_engine(plan: bytes) -> FakeEngine | None:
            if not self.loads:
                self.say("the plan is of another version")
                return None
            return FakeEngine(self)

        return SimpleNamespace(deserialize_cuda_engine=deserialize_cuda_engine)
