"""When a measurement is warm, and when it has seen enough. Pure functions of samples and time; both always end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from export.errors import UserError


@dataclass(frozen=True)
class WarmUp:
    """Warm once the medians of the last two windows agree, or when the time for it is spent.

    Attributes:
        window: queries in a window.
        tolerance: largest relative difference of the two medians.
        seconds: time after which the measurement starts anyway (the record then says that it had not settled).
    """

    window: int = 8
    tolerance: float = 0.025
    seconds: float = 5.0

    def settled(self, samples: Sequence[int]) -> bool:
        """Whether the spread of ``samples`` (ns, oldest first, without the very first run) has settled."""
        if len(samples) < 2 * self.window:
            return False
        before = median(samples[-2 * self.window : -self.window])
        after = median(samples[-self.window :])
        return abs(after - before) <= self.tolerance * before

    def spent(self, elapsed_ns: int) -> bool:
        return elapsed_ns >= self.seconds * 1e9


@dataclass(frozen=True)
class Stop:
    """Stop after ``seconds``, or later when fewer than ``samples`` were seen by then; never after ``limit`` seconds."""

    seconds: float
    samples: int
    limit: float

    def __post_init__(self) -> None:
        if not 0 < self.seconds <= self.limit:
            raise UserError(f"A measurement needs 0 < seconds ≤ limit, not {self.seconds} and {self.limit}.")

    def done(self, samples: int, elapsed_ns: int) -> bool:
        if elapsed_ns >= self.limit * 1e9:
            return True
        return samples >= self.samples and elapsed_ns >= self.seconds * 1e9
