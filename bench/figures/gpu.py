"""What the harness costs on a device, as ratios taken side by side: device-only latency against a bare loop, and
streaming with overlapped copies against what the device does without any.

For sessions that time their device; the others have no such figures. As in ``bench.figures``, the two sides are
interleaved, and it is a report, never a test.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import Protocol, runtime_checkable

from bench.figures.figure import Figure, figure, ratios
from bench.measure import queries
from bench.measure.queries import Queries
from bench.sweep.cells import Planned
from engines.base import Outputs, Pixels, Session
from engines.cuda.device import device
from engines.cuda.nvrtc import Program
from engines.preprocess.base import Preprocess
from engines.preprocess.catalog import preprocess
from engines.preprocess.device import program_for
from export.errors import CellError
from export.progress import say
from export.store import Store
from tasks.data.base import DataSet

REPEATS = 7
COUNT = 200
"""Runs in each repeat."""


@runtime_checkable
class OnDevice(Protocol):
    """What a session offers that times its device."""

    def device_ms(self, pixels: Pixels, count: int) -> list[float]:
        """Milliseconds of the device for each of ``count`` runs over pixels that lie there, by its own events."""

    def bare_ms(self, pixels: Pixels, count: int) -> list[float]:
        """The same by the least code that can run the plan: enqueue, event, wait; nothing of the session."""

    def stream(self, batches: Iterable[Pixels]) -> Iterator[Outputs]:
        """Run batch after batch, the copies of one overlapping the work of another; results in order."""

    def photographs_ms(self, photographs: Sequence[Pixels], program: Program, count: int) -> list[float]:
        """As ``device_ms``, over photographs that lie on the device: preprocessing and inference as one graph."""


def figures(cells: Sequence[Planned], images: DataSet, store: Store) -> Iterator[Figure]:
    """Both ratios for the first cell of each engine that runs here and times its device."""
    told: set[str] = set()
    for planned in cells:
        if planned.cell.engine in told or not planned.availability.ok:
            continue
        try:
            artifact = planned.artifact()
            path = preprocess(planned.sweep.preprocess, artifact.preprocess, store)
            rotation = queries.load(queries.prepare(images, artifact.preprocess, path, planned.sweep.seed, store))
            with planned.engine.load(planned.engine.plan(artifact, planned.profile, store)) as session:
                if isinstance(session, OnDevice):
                    yield from of_session(session, rotation, str(planned.cell))
                    yield from of_photographs(session, rotation, path, store, str(planned.cell))
            told.add(planned.cell.engine)
        except CellError as error:  # its record has the reason; another cell of the engine may do
            say(f"{planned.cell}: no figures: {error.what}")


def of_session(session: Session, rotation: Queries, name: str) -> Iterator[Figure]:
    """Both ratios of one session, which is :class:`OnDevice`."""
    assert isinstance(session, OnDevice)
    one = rotation.batches(1)[0]
    largest = session.plan.profile.batches[-1]
    batches = rotation.batches(largest)
    yield figure(
        f"Device-only p50 / bare loop ({name})",
        ratios(lambda: median(session.device_ms(one, COUNT)), lambda: median(session.bare_ms(one, COUNT)), REPEATS),
        "1 ± 0.02",
        lambda v: abs(v - 1) <= 0.02,
        f"batch 1, {REPEATS} interleaved repeats of {COUNT} runs, the device's own events",
    )

    def streamed() -> float:
        start = time.perf_counter()
        done = sum(1 for _ in session.stream(batches))
        return done * largest / (time.perf_counter() - start)

    def alone() -> float:
        return largest / median(session.device_ms(batches[0], COUNT)) * 1000

    yield figure(
        f"Offline with overlapped copies / device-only images/s ({name})",
        ratios(streamed, alone, REPEATS),
        "≥ 0.95",
        lambda v: v >= 0.95,
        f"{len(batches)} batches of {largest} real images from host memory and back, {REPEATS} interleaved repeats",
    )


def of_photographs(session: Session, rotation: Queries, path: Preprocess, store: Store, name: str) -> Iterator[Figure]:
    """What preprocessing on the device adds to inference, for photographs as they were decoded."""
    assert isinstance(session, OnDevice)
    gpu = device()
    if gpu is None:
        return
    program = program_for(gpu.capability, store)
    for size in session.plan.profile.batches:
        photographs = [path.decode(rotation.encoded[i % len(rotation)]) for i in range(size)]
        pixels = rotation.batches(size)[0]
        yield figure(
            f"Preprocessing and inference as one graph / inference ({name}, batch {size})",
            ratios(
                lambda p=photographs: median(session.photographs_ms(p, program, COUNT)),  # type: ignore[misc]
                lambda p=pixels: median(session.device_ms(p, COUNT)),  # type: ignore[misc]
                REPEATS,
            ),
            "≤ 1.10",
            lambda v: v <= 1.10,
            f"photographs and pixels lie on the device, {REPEATS} interleaved repeats of {COUNT} runs",
        )
