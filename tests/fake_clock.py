"""Clocks that a test moves: no time passes but what it says."""

from __future__ import annotations

from collections.abc import Iterable


class Scripted:
    """A clock that stands still until :meth:`query` or :meth:`pass_by` moves it."""

    def __init__(self, durations: Iterable[int] = ()) -> None:
        self.time, self.durations, self.asked = 0, iter(durations), list[int]()

    def now(self) -> int:
        """Nanoseconds."""
        return self.time

    def pass_by(self, nanoseconds: int) -> None:
        """Let that time pass."""
        self.time += nanoseconds

    def wait(self, due: int) -> None:
        """Time passes until then."""
        self.time = max(self.time, due)

    def query(self, i: int) -> None:
        """A query that takes the next of the durations; ``asked`` holds the queries."""
        self.asked.append(i)
        self.time += next(self.durations)


class Ticking:
    """A clock that moves by the same step whenever it is read: every work takes as long as any other."""

    def __init__(self, step: int = 1_000_000) -> None:
        self.time, self.step = 0, step

    def now(self) -> int:
        """Nanoseconds."""
        self.time += self.step
        return self.time
