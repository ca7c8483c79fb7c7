"""A pick explained: what its limits cost, what more would buy, and how it moves as the budget moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from bench.verdict.digits import number
from bench.verdict.lines import wrapped
from bench.verdict.picking import Field, Limit, Pick, difference, sentences
from bench.verdict.ranking import Ranking
from bench.verdict.significance import Bools

MOST = "the most accurate cell"
RUNGS = 3
"""Significant steps that a sentence lists."""
SHOWN = 7
"""Lines of the table of budgets; those nearest to the pick's own are shown."""


@dataclass(frozen=True)
class Relaxed:
    """What changes once one limit is relaxed and the others are kept.

    Attributes:
        pick_from, best_from: the value from which on another cell is picked, or is the most accurate; None where none
            ever is. pick, best: those cells.
    """

    limit: Limit
    pick_from: float | None = None
    pick: int | None = None
    best_from: float | None = None
    best: int | None = None

    @property
    def binding(self) -> bool:
        return self.pick is not None or self.best is not None


@dataclass(frozen=True)
class Step:
    """A dearer cell on the front, compared with the pick.

    Attributes:
        more: how much dearer, in the unit of the deciding cost. beyond: it breaks a limit on that cost.
        z, low, high: its lead in mean z, with the 95 % interval of the paired bootstrap. significant: of that lead.
    """

    row: int
    more: float
    beyond: bool
    z: float
    low: float
    high: float
    significant: bool


@dataclass(frozen=True)
class Span:
    """Budgets on the deciding cost that give one pick: from ``start`` up to, not including, ``end`` (down to, where
    more is better); None for ever. ``row`` is None where nothing fits."""

    start: float | None
    end: float | None
    row: int | None


class Explanation:
    """What stands behind a pick; nothing is computed before it is asked for."""

    def __init__(self, ranking: Ranking, found: Pick) -> None:
        self.ranking, self.found = ranking, found
        self._field = Field(ranking, found.cost)

    @cached_property
    def relaxed(self) -> list[Relaxed]:
        """Each limit, relaxed alone."""
        return [self._relax(i) for i in range(len(self.found.limits))]

    def _relax(self, index: int) -> Relaxed:
        field, found, limit = self._field, self.found, self.found.limits[index]
        values = limit.values(self.ranking)[field.rows]
        others = field.inside([*found.limits[:index], *found.limits[index + 1 :]])
        relaxed = Relaxed(limit)
        beyond = np.unique(values[others & ~limit.holds(values) & ~np.isnan(values)]).tolist()
        for value in beyond[::-1] if limit.least else beyond:
            row, best, _ = field.choose(others & replace(limit, value=value).holds(values))
            if row != found.row and relaxed.pick is None:
                relaxed = replace(relaxed, pick_from=value, pick=row)
            if best != found.best and relaxed.best is None:
                relaxed = replace(relaxed, best_from=value, best=best)
            if relaxed.pick is not None and relaxed.best is not None:
                break
        return relaxed

    @cached_property
    def steps(self) -> list[Step]:
        """The front above the pick, along the deciding cost, whatever a limit on that cost says."""
        field, row, found = self._field, self.found.row, []
        if not self.found.cost:
            return []
        inside = field.inside(self.found.limits)
        price = field.prices[field.place(row)]
        for place in field.front(self._others):
            other = int(field.rows[place])
            if field.prices[place] > price:
                z, _, low, high = self.ranking.difference(other, row)
                more, beyond = float(field.prices[place] - price), not bool(inside[place])
                found.append(Step(other, more, beyond, z, low, high, self.ranking.ahead(other, row)))
        return found

    @cached_property
    def spans(self) -> list[Span]:
        """How the pick moves with the budget on the deciding cost; other limits are kept."""
        field, found = self._field, self.found
        if not found.cost:
            return []
        values = self.ranking.sheet.cost(found.cost)[1]
        starts: list[tuple[float | None, int | None]] = [(None, None)]
        for place in field.front(self._others):
            row, _, _ = field.choose(self._others & (field.prices <= field.prices[place]))
            if row != starts[-1][1]:
                starts.append((float(values[field.rows[place]]), row))
        ends = [start for start, _ in starts[1:]] + [None]
        return [Span(start, end, row) for (start, row), end in zip(starts, ends, strict=True)]

    @cached_property
    def _others(self) -> Bools:
        """The cells within the limits on other columns than the deciding one."""
        return self._field.inside([limit for limit in self.found.limits if limit.column != self.found.cost])

    def sentences(self) -> list[str]:
        """Ties, limits and ladder: a sentence each."""
        return list(filter(None, [self._ties(), *self._limits(), self._ladder()]))

    def _ties(self) -> str:
        found, n = self.found, int(self._field.inside(self.found.limits).sum())
        if n < 2 or not self.ranking.has_errors:
            return ""
        if len(found.tied) < 2:
            return f"No tie: each of the other {n - 1} cells is significantly less accurate than the most accurate one."
        rule = "the cheapest of them on the front is picked" if found.cost else "the most accurate of them is picked"
        return (
            f"{len(found.tied)} of {n} cells tie (none is significantly less accurate than the most accurate one): "
            f"{rule}."
        )

    def _limits(self) -> list[str]:
        lines = []
        for one in self.relaxed:
            said: dict[str, dict[int, str]] = {}  # value → cell → what it would be
            if one.pick is not None and one.pick_from is not None:
                said[self._from(one.limit, one.pick_from)] = {one.pick: "the pick"}
            if one.best is not None and one.best_from is not None:
                would = said.setdefault(self._from(one.limit, one.best_from), {})
                would[one.best] = f"{would[one.best]} and the most accurate cell" if one.best in would else MOST
            if said:
                stays = "" if one.pick is not None else "; the pick would stay"
                parts = "; ".join(
                    f"{start} {' and '.join(f'{what} would be {self._name(row)}' for row, what in would.items())}"
                    for start, would in said.items()
                )
                lines.append(f"{one.limit} is binding: {parts}{stays}.")
        free = [str(one.limit) for one in self.relaxed if not one.binding]
        if free:
            verb = "is not binding: relaxing it" if len(free) == 1 else "are not binding: relaxing one of them"
            lines.append(f"{' and '.join(free)} {verb} changes neither the pick nor the most accurate cell.")
        return lines

    def _from(self, limit: Limit, value: float) -> str:
        unit = self.ranking.sheet.cost(limit.column)[0].unit
        return f"from {limit.loose(value):g} {unit}".rstrip() + (" down" if limit.least else " on")

    def _ladder(self) -> str:
        """The steps that are significantly better than the one before; the others are gathered."""
        if not self.found.cost:
            return ""
        column = self.ranking.sheet.cost(self.found.cost)[0]
        if not self.steps:
            return f"No cell with a {'lower' if column.higher_is_better else 'higher'} {column.title} is more accurate."
        last, parts, idle = self.found.row, [], 0
        for step in self.steps:
            idle += 1
            if step.significant and self.ranking.ahead(step.row, last):
                gain = difference(self.ranking, step.row, self.found.row)
                where = f"{self._name(step.row)}{', beyond the limit' if step.beyond else ''}"
                parts.append(f"for {self._more(step)}: +{gain}, significant ({where})")
                last, idle = step.row, 0
        if idle:
            more = "nothing more" if parts else "nothing"
            about = "" if self.ranking.has_errors else " can be tested, for the scores come without errors"
            parts.append(f"for up to {self._more(self.steps[-1])}: {more}{about or ' that is significant'}")
        significant = len(parts) - bool(idle)
        if significant > RUNGS + 1:
            parts[RUNGS:significant] = [f"{significant - RUNGS} more significant steps (--json)"]
        text = "; ".join(parts)
        direction = f" (lower {column.title})" if column.higher_is_better else ""
        return f"Compared with the pick, {text}{direction}."

    def _more(self, step: Step) -> str:
        column = self.ranking.sheet.cost(self.found.cost)[0]
        unit = f" {column.unit}" if column.unit else f" of {column.title}"
        return f"{number(step.more)}{unit} {'less' if column.higher_is_better else 'more'}"

    def _name(self, row: int) -> str:
        return self.ranking.sheet.name(row)

    def table(self) -> list[str]:
        """The budgets as lines: a head, then one a pick; those far from the pick's own are left out, and counted."""
        spans = [span for span in self.spans if span.row is not None]
        if len(spans) < 2:
            return []
        column = self.ranking.sheet.cost(self.found.cost)[0]
        limit = Limit(column.name, 0.0, column.higher_is_better)
        own = next((i for i, span in enumerate(spans) if span.row == self.found.row), 0)
        first = max(min(own - SHOWN // 2, len(spans) - SHOWN), 0)
        shown = spans[first : first + SHOWN]
        texts = [
            "…".join(f" {limit.loose(end):g} " if end is not None else "" for end in (span.start, span.end)).strip()
            for span in shown
        ]
        head = f"{column.title} {'at least' if limit.least else 'at most'}" + (
            f", {column.unit}" if column.unit else ""
        )
        wide = max(map(len, [head, *texts]))
        marks = ["→" if span.row == self.found.row else " " for span in shown]
        lines = [f"  {head:<{wide}}  pick"]
        lines += [
            f"{mark} {text:<{wide}}  {self._name(span.row or 0)}"
            for mark, text, span in zip(marks, texts, shown, strict=True)
        ]
        left = len(spans) - len(shown)
        return [*lines, f"  {left} other budgets are left out; --json holds all."] if left else lines


def explained(ranking: Ranking, found: Pick) -> str:
    """All that ``bob pick`` prints: what to ship, why, and what a limit or more money would change."""
    about = Explanation(ranking, found)
    lines = [line for text in (*sentences(ranking, found), *about.sentences()) for line in wrapped(text)]
    table = about.table()
    foot = [line for text in ranking.sheet.money for line in wrapped(text)]
    return "\n".join([*lines, *(["", *table] if table else []), *(["", *foot] if foot else [])])


def document(ranking: Ranking, found: Pick) -> dict[str, Any]:
    """The pick and what stands behind it, as JSON values."""
    labels, about = ranking.sheet.labels, Explanation(ranking, found)

    def named(part: Relaxed | Step | Span, names: Sequence[str]) -> dict[str, Any]:
        values = asdict(part)
        for name in names:
            row = values.pop(name)
            values["cell" if name == "row" else name] = None if row is None else labels[row]
        return values

    def relaxed(one: Relaxed) -> dict[str, Any]:
        return {name: value for name, value in named(one, ("pick", "best")).items() if name != "limit"}

    return {
        "pick": labels[found.row],
        "best": labels[found.best],
        "tied": [labels[row] for row in found.tied],
        "cost": found.cost or None,
        "limits": [{**asdict(one.limit), "binding": one.binding, **relaxed(one)} for one in about.relaxed],
        "ladder": [named(step, ("row",)) for step in about.steps],
        "budgets": [named(span, ("row",)) for span in about.spans],
        "sentences": [*sentences(ranking, found), *about.sentences()],
        "money": list(ranking.sheet.money),
    }
