"""Which rows and which columns of a ranking fit on a terminal; what is left out is named, never dropped in silence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.verdict.lines import WIDTH
from bench.verdict.picking import pick
from bench.verdict.ranking import Ranking, Standing

ROWS = 10
GAPS = (2, 1)
"""Spaces between columns; the narrower one is tried before a column is left out."""

Kind = Literal["name", "number", "mark"]


@dataclass(frozen=True)
class Part:
    """One column as text.

    Attributes:
        title: its name where it is left out.
        head: the lines of its head.
        texts: one for each row.
        last: columns with a higher number are left out first; 0 is never left out.
    """

    title: str
    head: tuple[str, ...]
    texts: tuple[str, ...]
    kind: Kind = "number"
    last: int = 0

    @property
    def width(self) -> int:
        return max(map(len, (*self.head, *self.texts)), default=0)


def shown_rows(ranking: Ranking, cost: str = "", by: str = "z", limit: int = ROWS) -> list[Standing]:
    """At most ``limit`` ranked rows, in the order of ``by``: the suggested cell, then the Pareto front, then what is
    not significantly less accurate than the best, then the best of the rest."""
    ordered = ranking.ordered(by)
    if len(ordered) <= limit:
        return ordered
    best = ranking.standings[0].row
    front = set(ranking.front(cost)) if cost else set()
    suggested = pick(ranking, cost).row if len(ranking.sheet.machines) == 1 else None

    def importance(standing: Standing) -> int:
        row = standing.row
        return 3 if row == suggested else 2 if row in front else 0 if ranking.ahead(best, row) else 1

    kept = sorted(ordered, key=importance, reverse=True)[:limit]  # a stable sort: best first among equals
    return [standing for standing in ordered if standing in kept]


def fitting(parts: Sequence[Part], width: int = WIDTH) -> tuple[list[Part], int, list[str]]:
    """The columns that fit into ``width``, the gap between them, and the titles of those that are left out.

    Where not even those fit that are never left out, these are given all the same: a number is never cut.
    """
    kept = list(parts)
    while True:
        taken = sum(part.width for part in kept)
        gap = next((gap for gap in GAPS if taken + gap * (len(kept) - 1) <= width), None)
        least = max((part for part in kept if part.last), key=lambda part: part.last, default=None)
        if gap or least is None:
            return kept, gap or GAPS[-1], [part.title for part in parts if part not in kept]
        kept.remove(least)
