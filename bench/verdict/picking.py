"""The cell to ship: the cheapest whose accuracy cannot be told from the best, in one sentence with its reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.records import stats
from bench.verdict.ranking import Ranking, Standing
from bench.verdict.show import number
from export.errors import UserError


@dataclass(frozen=True)
class Limit:
    """A budget: the column's value may not be above ``value`` (below it, where ``least``)."""

    column: str
    value: float
    least: bool = False

    @classmethod
    def parse(cls, text: str, least: bool = False) -> Limit:
        """``latency_p50_ms=10``: the number is what stands behind the last sign."""
        column, _, value = text.rpartition("=")
        try:
            limit = cls(column.strip(), float(value), least)
        except ValueError:
            limit = cls(column, math.nan)
        if not math.isfinite(limit.value):
            raise UserError(f"A limit takes COLUMN=NUMBER, not {text!r}.", "", "--max latency_p50_ms=10")
        return limit

    def __str__(self) -> str:
        return f"{self.column} {'≥' if self.least else '≤'} {self.value:g}"


@dataclass(frozen=True)
class Pick:
    """The suggestion: rows of the sheet.

    Attributes:
        row: the cell to ship. best: the most accurate within the limits.
        tied: cells that cannot be told from the best in accuracy (the best among them).
        cost: the column that decided; empty where there is none.
    """

    row: int
    best: int
    tied: tuple[int, ...]
    cost: str
    limits: tuple[Limit, ...]


def pick(ranking: Ranking, cost: str = "", limits: Sequence[Limit] = ()) -> Pick:
    """The cheapest cell whose accuracy is not significantly below the best one's, within the limits.

    Not significantly: the 95 % interval of the paired bootstrap of the two mean z-scores contains zero. Only cells
    on the Pareto front of what is within the limits are suggested: no such cell is better and cheaper.

    Raises:
        UserError: an unknown column, a limit in the wrong direction, or no cell within the limits.
    """
    cost = cost or ranking.default_cost()
    if not ranking.ranked:
        why = "; ".join(dict.fromkeys(filter(None, ranking.sheet.why)))
        raise UserError("There is no ranked cell to pick from.", why)
    inside = [s for s in ranking.standings if all(_within(ranking, s, limit) for limit in limits)]
    if not inside:
        raise UserError(f"No ranked cell has {' and '.join(map(str, limits))}.", _nearest(ranking, limits))
    best = inside[0]
    tied = [s for s in inside if s is best or not ranking.ahead(best.row, s.row)]
    if not cost:
        return Pick(best.row, best.row, tuple(s.row for s in tied), "", tuple(limits))
    column, values = ranking.sheet.cost(cost)
    sign = -1 if column.higher_is_better else 1
    paid = [None if math.isnan(values[s.row]) else float(sign * values[s.row]) for s in inside]
    on_front = stats.pareto_front([s.z or 0.0 for s in inside], paid)
    # a noisy cell may tie with the best while a better and cheaper one, measured more surely, does not
    known = [(price, s.row) for s, price, on in zip(inside, paid, on_front, strict=True) if on and s in tied]
    row = min(known)[1] if known else best.row
    return Pick(row, best.row, tuple(s.row for s in tied), cost if known else "", tuple(limits))


def _within(ranking: Ranking, standing: Standing, limit: Limit) -> bool:
    column, values = ranking.sheet.cost(limit.column)
    if column.higher_is_better != limit.least:
        verb = "--min" if column.higher_is_better else "--max"
        raise UserError(
            f"{limit.column}: {'higher' if column.higher_is_better else 'lower'} is better.",
            f"A limit of {limit} would ask for the worst.",
            f"{verb} {limit.column}={limit.value:g}",
        )
    value = values[standing.row]
    return bool(value >= limit.value if limit.least else value <= limit.value)


def _nearest(ranking: Ranking, limits: Sequence[Limit]) -> str:
    parts = []
    for limit in limits:
        values = [ranking.sheet.cost(limit.column)[1][s.row] for s in ranking.standings]
        known = [v for v in values if not math.isnan(v)]
        if known:
            parts.append(f"{limit.column} goes from {number(min(known))} to {number(max(known))}")
    return "; ".join(parts) + "." if parts else "The column has no values."


def suggestion(ranking: Ranking, cost: str = "") -> str:
    """Pick without limits, in one sentence, whatever there is to pick from."""
    return sentence(ranking, pick(ranking, cost)) if ranking.ranked else "Nothing was ranked, so no cell is suggested."


def sentence(ranking: Ranking, found: Pick) -> str:
    """The suggestion in one sentence, with its reason."""
    return f"{headline(ranking, found)}: {reason(ranking, found)}"


def headline(ranking: Ranking, found: Pick) -> str:
    """What to ship, without the reason."""
    return f"Ship {ranking.sheet.name(found.row)}"


def reason(ranking: Ranking, found: Pick) -> str:
    """Why: what it costs, and how it stands to the most accurate cell."""
    sheet, best = ranking.sheet, ranking.sheet.name(found.best)
    limits = f" with {' and '.join(map(str, found.limits))}" if found.limits else ""
    if not found.cost:
        return f"the highest mean z{limits}; no cost was measured to weigh against it."
    column, values = sheet.cost(found.cost)
    price = f"{column.title} {number(values[found.row])} {column.unit}".rstrip()
    if found.row == found.best:
        tied = len(found.tied)
        among = "clearly ahead of all others" if tied == 1 else f"the cheapest of {tied} that cannot be told apart"
        return f"the most accurate cell{limits}, and {among if len(ranking.ranked) > 1 else 'the only one'} ({price})."
    lead, error, low, high = ranking.difference(found.best, found.row)
    ratio = values[found.row] / values[found.best]
    ratio = ratio if column.higher_is_better else 1 / ratio
    times = "as much as" if column.higher_is_better else "less than"
    price += f", {ratio:.1f} times {times}" if math.isfinite(ratio) and ratio >= 1.05 else ", no dearer than"
    interval = f" (95 % interval {low:.2f} … {high:.2f})" if error else ""
    return (
        f"{price} the most accurate cell{limits}, {best}, whose lead in mean z of {lead:.2f}{interval} the test images "
        f"cannot tell from none."
    )


def document(ranking: Ranking, found: Pick) -> dict[str, Any]:
    """The pick as JSON values."""
    sheet = ranking.sheet
    return {
        "pick": sheet.labels[found.row],
        "best": sheet.labels[found.best],
        "tied": [sheet.labels[row] for row in found.tied],
        "cost": found.cost or None,
        "limits": [asdict(limit) for limit in found.limits],
        "sentence": sentence(ranking, found),
    }
