"""Sends queries at times that were drawn beforehand, and counts latency from these times, not from when it got to them.

One thread issues and runs: a server with one session answers one query after another, so that the queue before it needs
no thread of its own, and its order and its cost are the schedule's alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.measure.clock import CLOCK, Clock, Wait, wait_until, without_collector

Serve = Callable[[int, int], object]
"""Runs ``count`` queries from number ``first`` on as one."""


@dataclass(frozen=True)
class Queue:
    """Queries that wait are served together.

    Attributes:
        most: at once. delay_ns: how long a query waits for others, at the most, where nothing else is served.
    """

    most: int = 1
    delay_ns: int = 0


@dataclass(frozen=True)
class Issued:
    """What was seen, in ns.

    Attributes:
        latency: from the scheduled time to the answer, a query each.
        service: of each run. sizes: queries in it.
        delay: of each run, by which the issuer began it later than it could have: its own fault, or the system's that
            woke it up late.
        begin_ns, end_ns: the clock when the schedule began, and at the last answer.
        given_up: more queries were late than may be, and the rest was not issued.
    """

    latency: list[int]
    service: list[int]
    sizes: list[int]
    delay: list[int]
    begin_ns: int
    end_ns: int
    given_up: bool = False


def issue(
    arrivals: Sequence[int],
    serve: Serve,
    clock: Clock = CLOCK,
    wait: Wait = wait_until,
    queue: Queue = Queue(),
    bound_ns: float = float("inf"),
    late: int = 0,
) -> Issued:
    """Serve every arrival, each when its time has come and those before it are answered.

    Args:
        arrivals: ns after the beginning, ascending.
        bound_ns, late: give up once more than ``late`` queries took longer than the bound: what is asked is answered.
    """
    latency: list[int] = []
    service: list[int] = []
    sizes: list[int] = []
    delay: list[int] = []
    count, first, over = len(arrivals), 0, 0
    with without_collector():
        begin = free = clock()
        while first < count and over <= late:
            ready = max(begin + arrivals[first], free)
            if queue.most > 1:
                filled = first + queue.most - 1
                patience = begin + arrivals[first] + queue.delay_ns
                ready = max(free, min(patience, begin + arrivals[filled]) if filled < count else patience)
            wait(ready)
            start = clock()
            size = 1
            while size < queue.most and first + size < count and begin + arrivals[first + size] <= start:
                size += 1
            serve(first, size)
            free = clock()
            delay.append(start - ready)
            service.append(free - start)
            sizes.append(size)
            for number in range(first, first + size):
                took = free - begin - arrivals[number]
                latency.append(took)
                over += took > bound_ns
            first += size
    return Issued(latency, service, sizes, delay, begin, free, over > late)
