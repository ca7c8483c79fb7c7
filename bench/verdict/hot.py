"""Which cells change places once the machine is hot: faster at the start of a soak, slower at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

from bench.records import stats
from bench.records.record import TimingRecord
from bench.verdict.row import Row

SCENARIO = "soak"
PIECES = 5
"""A tenth of the soak is cut into so many: the range of their medians is its spread."""
NAMED = 3
"""Pairs that are named; of more, the others are counted."""


@dataclass(frozen=True)
class Soaked:
    """The medians of the first and of the last tenth, piece by piece, in ms."""

    name: str
    start: tuple[float, ...]
    end: tuple[float, ...]

    @classmethod
    def of(cls, name: str, record: TimingRecord) -> Soaked:
        """What a record of the scenario saw: its series in the order of time."""
        first, *_, last = sorted(record.series, key=lambda series: series.begin_ns)
        return cls(name, _medians(first.samples), _medians(last.samples))

    def passes(self, other: Soaked) -> bool:
        """Whether it is faster than ``other`` at the start and slower at the end, in every piece."""
        return max(self.start) < min(other.start) and min(self.end) > max(other.end)


def hot(found: Sequence[Row]) -> list[str]:
    """A sentence on the pairs of cells that change places; none where nothing was soaked."""
    soaked = [
        Soaked.of(f"{row.cell}{f' on {row.machine}' if row.machine else ''}", record)
        for row in found
        if (record := row.timings.get(SCENARIO)) and len(record.series) > 1
    ]
    if len(soaked) < 2:
        return []
    pairs = [(a, b) for a, b in permutations(soaked, 2) if a.passes(b)]
    if not pairs:
        return [f"Hot: none of {len(soaked)} soaked cells change places."]
    each = [
        f"{a.name} ({stats.median(a.start):.3g} → {stats.median(a.end):.3g} ms) falls behind {b.name} "
        f"({stats.median(b.start):.3g} → {stats.median(b.end):.3g} ms)"
        for a, b in pairs[:NAMED]
    ]
    more = [f"and {len(pairs) - NAMED} more pairs"] if len(pairs) > NAMED else []
    return [f"Hot: {'; '.join([*each, *more])}."]


def _medians(samples: Sequence[int]) -> tuple[float, ...]:
    size = max(1, len(samples) // PIECES)
    return tuple(stats.median(samples[at : at + size]) / 1e6 for at in range(0, size * min(PIECES, len(samples)), size))
