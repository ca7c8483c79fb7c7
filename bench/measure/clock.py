"""The one clock policy: host wall time in nanoseconds around one query; first run, warm-up and steady state apart.

Nothing is dropped and nothing is averaged here: every sample leaves this module as it was taken.
"""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.measure.criterion import Noise, Stop, Stopped, WarmUp

Clock = Callable[[], int]
"""Nanoseconds, never going back."""
CLOCK: Clock = time.monotonic_ns
"""The system's monotonic clock (on Linux and macOS ``perf_counter`` reads the same one): every process has the same,
so that what another one sampled of the machine can be laid beside a series."""

Wait = Callable[[int], None]
"""Returns when :data:`CLOCK` shows that many nanoseconds; at once, if it is later."""
SPIN_NS = 1_000_000
"""The system wakes a sleeper up too late, by tens of microseconds and more on a busy machine: so much of a pause is
spent reading the clock. The rest is slept, so that the processor idles as it would."""


def wait_until(due: int) -> None:
    """Sleep, then read the clock until it shows ``due``."""
    while (left := due - CLOCK()) > 0:
        if left > SPIN_NS:
            time.sleep((left - SPIN_NS) / 1e9)


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """Python's cyclic garbage collector runs once, then stays off: its pauses are not the engine's. Reference counting,
    which frees the arrays, goes on."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@dataclass(frozen=True)
class Series:
    """What one measurement saw, in nanoseconds.

    Attributes:
        first: the very first query.
        warm_up: the queries after it, until the spread settled.
        samples: the steady state, in order.
        settled: False when the time for warming up was spent before the spread settled.
        begin_ns: the clock when the steady state began. end_ns: when it ended. What is a part of another series, or
            was taken beside it, has that one's.
        stopped: why it ended then.
        rate: queries a second that were asked for; 0 where the next follows as soon as the last is answered. Samples
            then count from the time that each was scheduled for.
    """

    first: int
    warm_up: list[int]
    samples: list[int]
    settled: bool
    begin_ns: int
    end_ns: int
    stopped: Stopped
    rate: float = 0.0


def measure(
    query: Callable[[int], object], warm_up: WarmUp, stop: Stop, clock: Clock = CLOCK, before: Series | None = None
) -> Series:
    """Call ``query(i)``, i = 0, 1, 2, …, and time each call. Whether to go on is decided between two calls.

    ``before`` is an earlier series of the same queries in this process: what they warm up has been in its steady state
    since, and is not warmed up again. The new series has settled if that one had.
    """
    start = clock()
    query(0)
    first = clock() - start

    warm: list[int] = []
    begin = clock()
    i, settled = 1, before is not None and before.settled
    while before is None and not settled and not warm_up.spent(clock() - begin):
        start = clock()
        query(i)
        warm.append(clock() - start)
        settled = warm_up.settled(warm)
        i += 1

    samples: list[int] = []
    noise, stopped = Noise(), None
    with without_collector():
        begin = end = clock()
        while stopped is None:
            start = clock()
            query(i)
            end = clock()
            samples.append(end - start)
            noise.add(end - start)
            stopped = stop.stopped(noise, end - begin)
            i += 1
    return Series(first, warm, samples, settled, begin, end, stopped)
