"""The one clock policy: host wall time in nanoseconds around one query; first run, warm-up and steady state apart.

Nothing is dropped and nothing is averaged here: every sample leaves this module as it was taken.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.measure.criterion import Stop, WarmUp

Clock = Callable[[], int]


@dataclass(frozen=True)
class Series:
    """What one measurement saw, in nanoseconds.

    Attributes:
        first: the very first query.
        warm_up: the queries after it, until the spread settled.
        samples: the steady state, in order.
        settled: False when the time for warming up was spent before the spread settled.
    """

    first: int
    warm_up: list[int]
    samples: list[int]
    settled: bool


def measure(query: Callable[[int], object], warm_up: WarmUp, stop: Stop, clock: Clock = time.perf_counter_ns) -> Series:
    """Call ``query(i)``, i = 0, 1, 2, …, and time each call.

    Python's cyclic garbage collector is off during the steady state (its pauses are not the engine's) and runs once
    before it; reference counting, which frees the arrays, goes on.
    """
    start = clock()
    query(0)
    first = clock() - start

    warm: list[int] = []
    begin = clock()
    i, settled = 1, False
    while not settled and not warm_up.spent(clock() - begin):
        start = clock()
        query(i)
        warm.append(clock() - start)
        settled = warm_up.settled(warm)
        i += 1

    samples: list[int] = []
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        begin = end = clock()
        while not stop.done(len(samples), end - begin):
            start = clock()
            query(i)
            end = clock()
            samples.append(end - start)
            i += 1
    finally:
        if enabled:
            gc.enable()
    return Series(first, warm, samples, settled)
