"""When a sweep that is still running shows its table: first after about a minute, then less and less often."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from bench.records.record import Record

FIRST_SECONDS = 30.0
"""Not before: most of what is finished earlier was there already."""
GROWTH = 3.0
"""Each table comes after this many times the time of the last one: a sweep of six hours shows seven."""
LEAST = 2
"""Cells that can be compared."""


class Looks:
    """Shows the table so far, when it is time.

    Args:
        show: is given the provisional timing records; scores are in the results folder.
        clock: seconds, monotonic.
    """

    def __init__(self, show: Callable[[Sequence[Record]], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._show, self._clock, self._begin = show, clock, clock()
        self._next, self._shown = FIRST_SECONDS, 0
        self._timings: list[Record] = []

    def due(self, cells: int) -> bool:
        """Whether it is time to show ``cells`` ranked cells: more than last time, and enough to compare."""
        return cells >= LEAST and cells > self._shown and self._clock() - self._begin >= self._next

    def show(self, cells: int, timings: Sequence[Record]) -> None:
        """Show them; ``timings`` are new."""
        self._timings += timings
        self._show(self._timings)
        self._shown = cells
        self._next = GROWTH * (self._clock() - self._begin)
