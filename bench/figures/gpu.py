"""What the harness costs on a device, as ratios taken side by side: device-only latency against a bare loop, and
streaming with overlapped copies against what the device does without any.

For sessions that time their device; the others have no such figures. As in ``bench.figures``, the two sides are
interleaved, and it is a report, never a test.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from statistics import median

from bench.figures.figure import Figure, figure, ratios
from bench.measure.queries import Queries, load
from bench.sweep import rotation
from bench.sweep.cells import Planned
from engines.abilities import PreprocessesPhotographs, Streams, TimesDevice
from engines.base import Session
from engines.cuda.device import device
from engines.preprocess.base import Preprocess
from engines.preprocess.device import program_here
from export.errors import CellError
from export.progress import say
from export.store import Store
from tasks.data.base import DataSet

REPEATS = 7
COUNT = 200
"""Runs in each repeat."""


def figures(cells: Sequence[Planned], images: DataSet, store: Store) -> Iterator[Figure]:
    """Both ratios for the first cell of each engine that runs here and times its device."""
    done: set[str] = set()
    for planned in cells:
        if planned.cell.engine in done or not planned.availability.ok:
            continue
        try:
            plan = planned.plan()
            path = planned.path(plan.artifact)
            shown = load(rotation.prepare(images, path, planned.sweep.seed, store))
            with planned.engine.load(plan) as session:
                yield from of_session(session, shown, str(planned.cell))
                yield from of_photographs(session, shown, path, store, str(planned.cell))
            done.add(planned.cell.engine)
        except CellError as error:  # its record has the reason; another cell of the engine may do
            say(f"{planned.cell}: not measured: {error.what}")


def of_session(session: Session, shown: Queries, name: str) -> Iterator[Figure]:
    """The ratios of one session that its abilities allow; none where it does not time its device."""
    if not isinstance(session, TimesDevice):
        return
    one = shown.batches(1)[0]
    largest = session.plan.profile.batches[-1]
    batches = shown.batches(largest)
    yield figure(
        f"Device-only p50 / bare loop ({name})",
        ratios(lambda: median(session.device_ms(one, COUNT)), lambda: median(session.bare_ms(one, COUNT)), REPEATS),
        "1 ± 0.02",
        lambda v: abs(v - 1) <= 0.02,
        f"batch 1, {REPEATS} interleaved repeats of {COUNT} runs, the device's own events",
    )

    if not isinstance(session, Streams):
        return

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


def of_photographs(session: Session, shown: Queries, path: Preprocess, store: Store, name: str) -> Iterator[Figure]:
    """What preprocessing on the device adds to inference, for photographs as they were decoded, where it can."""
    gpu = device()
    if gpu is None or not isinstance(session, TimesDevice) or not isinstance(session, PreprocessesPhotographs):
        return
    program = program_here(store)
    for size in session.plan.profile.batches:
        photographs = [path.decode(shown.encoded[i % len(shown)]) for i in range(size)]
        pixels = shown.batches(size)[0]
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
