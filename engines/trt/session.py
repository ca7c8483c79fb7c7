"""A TensorRT plan at work: pixels go up, features come down, and nothing is allocated in between.

A *lane* is all that one query in flight needs at one batch size: a stream, an execution context on that batch's
profile, buffers on the device and pinned ones on the host, and, with graphs, the captured work. A session has as many
lanes a batch as its spec has streams, so that the copies of one query overlap the work of another.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

import numpy as np

from engines.abilities import PreprocessesPhotographs, Streams, TimesDevice
from engines.base import Outputs, Pixels, Placement, Plan, Session
from engines.cuda.choice import open_driver
from engines.cuda.driver import Driver, Kernels
from engines.cuda.nvimgcodec import DeviceImage
from engines.cuda.nvrtc import Program
from engines.preprocess.device import Feeder, require_photographs
from engines.preprocess.normalize import PIXELS
from engines.trt.builder import PLAN
from engines.trt.flavour import Flavour
from engines.trt.inspector import placement
from engines.trt.log import BuildLog, uncollected
from export.errors import CellError, UserError

FLIGHT = 2
"""Queries in flight while streaming: one copies while the other computes."""


class TrtSession(Session, Streams, TimesDevice, PreprocessesPhotographs):
    """A loaded plan; ``driver`` is the real one unless a test gives another."""

    def __init__(self, plan: Plan, flavour: Flavour, driver: Driver | None = None, graphs: bool = True) -> None:
        super().__init__(plan)
        self._flavour, self._graphs = flavour, graphs
        self._library = flavour.load()
        self._log = BuildLog(self._library)
        self._lanes: dict[int, list[Lane]] = {}
        self._free: dict[int, SimpleQueue[Lane]] = {}
        self._kernels: dict[str, Kernels] = {}
        self._lock = Lock()
        self._engine: Any = None
        self._runtime: Any = None
        self._driver = driver or open_driver()
        try:
            with self._driver.active(), uncollected():
                self._runtime = self._library.Runtime(self._log.logger)
                self._engine = self._deserialized(plan.path / PLAN)
                self._require_tensors()
                self._lanes_of(plan.profile.batches[0], 1)
        except BaseException:
            self._close()
            raise

    # -- the boundary --------------------------------------------------------------------------------------------

    def _run(self, pixels: Pixels) -> Outputs:
        with self._driver.active():
            self._lanes_of(len(pixels), self.plan.engine.streams)
            lanes = self._free[len(pixels)]
            lane = lanes.get()
            try:
                lane.submit(pixels)
                return lane.result()
            finally:
                lanes.put(lane)

    def run_photographs(self, photographs: Sequence[Pixels | DeviceImage], program: Program) -> Outputs:
        """See the ability: resize, crop and inference are one graph."""
        self._require_photographs(photographs)
        with self._gate, self._driver.active():
            kernels = self._kernels_of(program)
            self._lanes_of(len(photographs), self.plan.engine.streams)
            lanes = self._free[len(photographs)]
            lane = lanes.get()
            try:
                lane.feed(photographs, kernels)
                lane.work_fed()
                lane.fetch()
                return lane.result()
            finally:
                lanes.put(lane)

    def stream(self, batches: Iterable[Pixels]) -> Generator[Outputs, None, None]:
        """See the ability: while one batch is copied, another is worked on."""
        flying: deque[Lane] = deque()
        try:
            for number, pixels in enumerate(batches):
                self.check(pixels)
                with self._driver.active():
                    lanes = self._lanes_of(len(pixels), FLIGHT)
                    done = flying.popleft().result() if len(flying) == FLIGHT else None
                    lane = lanes[number % FLIGHT]
                    lane.submit(pixels)
                    flying.append(lane)
                if done is not None:
                    yield done
            while flying:
                with self._driver.active():
                    done = flying.popleft().result()
                yield done
        finally:
            with self._driver.active():
                for lane in flying:  # the iterator was closed: wait, or a buffer would be written later
                    lane.stream.synchronize()

    # -- the device's own time -----------------------------------------------------------------------------------

    def device_ms(self, pixels: Pixels, count: int) -> list[float]:
        """See the ability: what one lane is given is replayed."""
        with self._lying(pixels) as lane:
            begin = time.perf_counter()
            found = [lane.timed(lane.work) for _ in range(count)]
            wall = (time.perf_counter() - begin) * 1000
        if sum(found) > wall:
            raise CellError(
                "The GPU's events report more time than has passed.",
                f"{sum(found):.3f} ms in {wall:.3f} ms for {count} runs.",
            )
        return found

    def photographs_ms(self, photographs: Sequence[Pixels | DeviceImage], program: Program, count: int) -> list[float]:
        """See the ability."""
        self._require_photographs(photographs)
        with self._driver.active():
            lane = self._lanes_of(len(photographs), 1)[0]
            lane.feed(photographs, self._kernels_of(program))
            lane.work_fed()
            lane.stream.synchronize()
            return [lane.timed(lane.work_fed) for _ in range(count)]

    def bare_ms(self, pixels: Pixels, count: int) -> list[float]:
        """See the ability."""
        with self._lying(pixels) as lane:
            context, stream, graph = lane.context, lane.stream, lane.graph
            start, end = self._driver.event(), self._driver.event()
            found = []
            for _ in range(count):
                stream.record(start)
                if graph is None:
                    context.execute_async_v3(stream.handle)
                else:
                    stream.launch(graph)
                stream.record(end)
                stream.synchronize()
                found.append(start.ms_until(end))
            return found

    @contextmanager
    def _lying(self, pixels: Pixels) -> Iterator[Lane]:
        """A lane on whose device the pixels lie, and that has run once."""
        self.check(pixels)
        with self._driver.active():
            lane = self._lanes_of(len(pixels), 1)[0]
            lane.submit(pixels)
            lane.result()
            yield lane

    # -- hooks ---------------------------------------------------------------------------------------------------

    def _placement(self) -> Placement:
        with self._driver.active():
            inspector = self._engine.create_engine_inspector()
            text = inspector.get_engine_information(self._library.LayerInformationFormat.JSON)
        try:
            inspection = json.loads(text)
        except ValueError:
            return Placement(self.plan.engine.provider, note="the engine inspector's answer is not JSON")
        return placement(inspection, self.plan.engine.provider)

    def _close(self) -> None:
        with self._driver.active():
            for lanes in self._lanes.values():
                for lane in lanes:
                    lane.free()
            self._lanes.clear()
            self._free.clear()
            self._kernels.clear()
            self._engine = self._runtime = None  # contexts first, then the engine, then its runtime
        self._driver.close()

    def _deserialized(self, file: Path) -> Any:
        engine = self._runtime.deserialize_cuda_engine(file.read_bytes())
        if engine is None:
            raise CellError(
                f"{self._flavour.title} does not load this plan.",
                self._log.reason() or "It gives no reason.",
                "build it again on this machine",
            )
        return engine

    def _require_tensors(self) -> None:
        """What goes in and out must be what the artifact says."""
        engine, library = self._engine, self._library
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        inputs = {n for n in names if engine.get_tensor_mode(n) == library.TensorIOMode.INPUT}
        outputs = {o.name for o in self.outputs}
        kinds = {n: engine.get_tensor_dtype(n) for n in names}
        right = inputs == {PIXELS} and set(names) == {PIXELS, *outputs} and kinds[PIXELS] == library.DataType.UINT8
        if not right or any(kinds[n] != library.DataType.FLOAT for n in outputs):
            raise CellError(
                "The plan does not belong to this network.",
                f"It has {', '.join(f'{n} ({kinds[n]})' for n in names)}; {PIXELS} (uint8) and "
                f"{', '.join(sorted(outputs))} (float32) were expected.",
                "build it again",
            )

    def _require_photographs(self, photographs: Sequence[Pixels | DeviceImage]) -> None:
        if self._closed:
            raise UserError("This session is closed.")
        require_photographs(photographs, self.plan.profile.batches)

    def _kernels_of(self, program: Program) -> Kernels:
        with self._lock:
            if program.key not in self._kernels:
                self._kernels[program.key] = self._driver.kernels(program.cubin)
            return self._kernels[program.key]

    def _lanes_of(self, batch: int, count: int) -> list[Lane]:
        """At least ``count`` lanes for a batch size; as many as the spec's streams are handed out to callers."""
        with self._lock:
            lanes = self._lanes.setdefault(batch, [])
            free = self._free.setdefault(batch, SimpleQueue())
            while len(lanes) < count:
                lane = Lane(self, batch)
                lanes.append(lane)
                if len(lanes) <= self.plan.engine.streams:
                    free.put(lane)
            return lanes


class Lane:
    """One query in flight: its stream, context, buffers and graph."""

    def __init__(self, session: TrtSession, batch: int) -> None:
        driver, plan = session._driver, session.plan
        spec = plan.artifact.preprocess
        self._log, self._driver = session._log, driver
        self._title = session._flavour.title
        self._buffers: list[Any] = []
        self.graph: Any = None
        self.context: Any = None
        self._feeder: Feeder | None = None
        self._fed_graph: Any = None
        self._fed_generation = 0
        self._graphs = session._graphs
        self._spec, self._batch = spec, batch
        self.stream = driver.stream()
        self._start, self._end = driver.event(), driver.event()
        try:
            self._host = driver.pinned((batch, spec.height, spec.width, 3), np.dtype(np.uint8))
            self._device = self._allocate(self._host.nbytes)
            self._results = {}
            for output in session.outputs:
                host = driver.pinned((batch, *output.shape), np.dtype(np.float32))
                self._results[output.name] = (host, self._allocate(host.nbytes))
            self.context = self._context(session._engine, plan, batch)
            if session._graphs:
                self._host[...] = 0
                self.stream.copy_in(self._device, self._host)
                self._enqueue()  # the first run allocates, which a capture forbids
                self.stream.synchronize()
                self.graph = self.stream.capture(self._enqueue)
        except BaseException:
            self.free()
            raise

    def submit(self, pixels: Pixels) -> None:
        """Enqueue copy, work and copies; returns at once."""
        self._host[...] = pixels
        self.stream.copy_in(self._device, self._host)
        self.work()
        self.fetch()

    def feed(self, photographs: Sequence[Pixels | DeviceImage], kernels: Kernels) -> None:
        """Copy up photographs that :meth:`work_fed` shall work on; the lane must be idle."""
        if self._feeder is None:
            self._feeder = Feeder(self._driver, self.stream, kernels, self._spec, self._device, self._batch)
        self._feeder.load(photographs)
        if not self._graphs or self._fed_generation == self._feeder.generation:
            return
        if self._fed_graph is not None:
            self._fed_graph.free()
            self._fed_graph = None
        self._enqueue_fed()  # a kernel's first launch may load it, which a capture forbids
        self.stream.synchronize()
        self._fed_graph = self.stream.capture(self._enqueue_fed)
        self._fed_generation = self._feeder.generation

    def fetch(self) -> None:
        """Enqueue the copies of the results."""
        for host, device in self._results.values():
            self.stream.copy_out(host, device)

    def result(self) -> Outputs:
        """Wait for what was submitted; arrays that belong to the caller."""
        self.stream.synchronize()
        return {name: host.copy() for name, (host, _) in self._results.items()}

    def timed(self, work: Callable[[], None]) -> float:
        """Milliseconds of the device for :meth:`work` or :meth:`work_fed`, over what lies there."""
        self.stream.record(self._start)
        work()
        self.stream.record(self._end)
        self.stream.synchronize()
        return self._start.ms_until(self._end)

    def free(self) -> None:
        """Give back everything, after what is under way has ended; a second call does nothing."""
        self.stream.synchronize()
        for graph in (self.graph, self._fed_graph):
            if graph is not None:
                graph.free()
        self.graph = self._fed_graph = self.context = None
        if self._feeder is not None:
            self._feeder.free()
            self._feeder = None
        while self._buffers:
            self._buffers.pop().free()

    def work(self) -> None:
        """Enqueue inference over the pixels that lie there."""
        if self.graph is None:
            self._enqueue()
        else:
            self.stream.launch(self.graph)

    def work_fed(self) -> None:
        """Enqueue preprocessing and inference over the photographs that lie there."""
        if self._fed_graph is None:
            self._enqueue_fed()
        else:
            self.stream.launch(self._fed_graph)

    def _enqueue_fed(self) -> None:
        assert self._feeder is not None
        self._feeder.run()
        self._enqueue()

    def _enqueue(self) -> None:
        if not self.context.execute_async_v3(self.stream.handle):
            raise CellError(f"{self._title} failed while running.", self._log.reason() or "It gives no reason.")

    def _allocate(self, size: int) -> Any:
        buffer = self._driver.allocate(size)
        self._buffers.append(buffer)
        return buffer

    def _context(self, engine: Any, plan: Plan, batch: int) -> Any:
        context = engine.create_execution_context()
        if context is None:  # its scratch memory is the largest allocation of all
            raise CellError(
                f"{self._title} cannot open this plan for batches of {batch}.",
                self._log.reason() or "The GPU may have too little memory left.",
                "smaller batches (--batches 1), or stop other processes on the GPU (nvidia-smi)",
            )
        index = 0 if plan.fields["dynamic"] else list(plan.fields["profiles"]).index(batch)
        good = context.set_optimization_profile_async(index, self.stream.handle)
        self.stream.synchronize()
        good = good and context.set_input_shape(PIXELS, self._host.shape)
        addresses = {PIXELS: self._device.address} | {n: d.address for n, (_, d) in self._results.items()}
        good = good and all(context.set_tensor_address(name, address) for name, address in addresses.items())
        if not good:
            raise CellError(f"The plan has no profile for batches of {batch}.", self._log.reason())
        return context
