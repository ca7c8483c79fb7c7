"""The cell to ship: the cheapest that is not significantly less accurate than the best, and why, in short sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bench.records import stats
from bench.verdict.digits import number
from bench.verdict.lines import wrapped
from bench.verdict.ranking import FINE, Ranking, Standing
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
        tied: cells that are not significantly less accurate than the best (itself among them).
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
    best = _best(ranking, inside, cost)
    tied = [s for s in inside if s is best or not ranking.ahead(best.row, s.row)]
    if not cost:
        return Pick(best.row, best.row, tuple(s.row for s in tied), "", tuple(limits))
    column, values = ranking.sheet.cost(cost)
    paid = [column.price(values[s.row]) for s in inside]
    on_front = stats.pareto_front([round(s.z or 0.0, FINE) for s in inside], paid)
    # a noisy cell may tie with the best while a better and cheaper one, with smaller errors, does not
    known = [(price, s.row) for s, price, on in zip(inside, paid, on_front, strict=True) if on and s in tied]
    row = min(known)[1] if known else best.row
    return Pick(row, best.row, tuple(s.row for s in tied), cost if known else "", tuple(limits))


def _best(ranking: Ranking, inside: Sequence[Standing], cost: str) -> Standing:
    """The most accurate one; of several that compute the same, the cheapest."""
    if not cost:
        return inside[0]
    column, values = ranking.sheet.cost(cost)
    equal = [s for s in inside if round(s.z or 0.0, FINE) >= round(inside[0].z or 0.0, FINE)]
    prices = {s.row: column.price(values[s.row]) for s in equal}
    return min(equal, key=lambda s: math.inf if (price := prices[s.row]) is None else price)


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
    """Pick without limits, whatever there is to pick from: a line or two for each sentence."""
    if not ranking.ranked:
        return "Nothing was ranked, so no cell is suggested."
    return spoken(ranking, pick(ranking, cost))


def spoken(ranking: Ranking, found: Pick) -> str:
    """The sentences as a terminal shows them: each begins a line."""
    return "\n".join(line for text in sentences(ranking, found) for line in wrapped(text))


def sentences(ranking: Ranking, found: Pick) -> list[str]:
    """What to ship and what it costs; how it compares with the most accurate cell; a significant difference."""
    return [f"{headline(ranking, found)}: {_price(ranking, found)}.", *reasons(ranking, found)]


def headline(ranking: Ranking, found: Pick) -> str:
    """What to ship, without the reason."""
    return f"Ship {ranking.sheet.name(found.row)}"


def reasons(ranking: Ranking, found: Pick) -> list[str]:
    """Why this cell: one sentence on the most accurate one, and one on a significant difference."""
    return list(filter(None, [_beside_the_best(ranking, found), _significant(ranking, found)]))


def price(ranking: Ranking, found: Pick) -> str:
    """What it costs, beside the most accurate cell: a sentence without its full stop."""
    text = _price(ranking, found)
    return text[0].upper() + text[1:]


def _price(ranking: Ranking, found: Pick) -> str:
    sheet = ranking.sheet
    if not found.cost:
        return "it has the highest mean z; no cost was measured"
    column, values = sheet.cost(found.cost)

    def paid(row: int) -> str:
        return f"{number(values[row])} {column.unit}".rstrip()

    text = f"{column.title} {paid(found.row)}"
    if found.row == found.best:
        return text
    ratio = values[found.row] / values[found.best]
    ratio, than = (ratio, "the") if column.higher_is_better else (1 / ratio, "less than the")
    compared = f"{ratio:.1f} times {than}" if math.isfinite(ratio) and ratio >= 1.05 else "about the same as the"
    other = f"{sheet.name(found.best)} ({paid(found.best)})"
    return f"{text}, {compared} {_most_accurate(found)}, {other}"


def _most_accurate(found: Pick) -> str:
    within = f" with {' and '.join(map(str, found.limits))}" if found.limits else ""
    return f"most accurate cell{within}"


def _beside_the_best(ranking: Ranking, found: Pick) -> str:
    if found.row == found.best:
        return f"It is also the {_most_accurate(found)}." if len(ranking.ranked) > 1 else "It is the only ranked cell."
    lead, error, low, high = ranking.difference(found.best, found.row)
    if not error:
        return "Both have the same scores."
    return (
        f"The lead of the {_most_accurate(found)}, {lead:.2f} in mean z (95 % interval {low:.2f} … {high:.2f}), is not "
        "significant."
    )


def _significant(ranking: Ranking, found: Pick) -> str:
    """The cells that the suggested one is significantly better than, and the closest of them; if there are none, a
    pair that does differ; if no pair does, that more test images are needed."""
    if len(ranking.ranked) < 2 or not ranking.has_errors:
        return ""
    order = [found.row, *(s.row for s in ranking.standings if s.row != found.row)]
    for row in order:
        worse = [s.row for s in ranking.standings if ranking.ahead(row, s.row)]
        if worse:
            who = "It" if row == found.row else ranking.sheet.name(row)
            count = f" {len(worse)} of the other {len(order) - 1} cells; the closest is" if len(worse) > 1 else ""
            by = _difference(ranking, row, worse[0])
            return f"{who} is significantly more accurate than{count} {ranking.sheet.name(worse[0])}, by {by}."
    images = ranking.images()
    return (
        "No difference between these cells is significant"
        + (f" with {images:,} test images" if images else "")
        + ": more test images would help."
    )


def _difference(ranking: Ranking, row: int, other: int) -> str:
    """By how much a cell leads: in the setting where this is clearest, or in mean z where no single one shows it."""
    sheet = ranking.sheet
    steps = sheet.values[row] - sheet.values[other]
    steps = steps * [1.0 if s.higher_is_better else -1.0 for s in sheet.settings]
    with np.errstate(divide="ignore", invalid="ignore"):
        clarity = np.nan_to_num(steps / np.hypot(sheet.errors[row], sheet.errors[other]), nan=-1.0)
    for j in map(int, np.argsort(-clarity)):
        value, low, high = ranking.difference_in(j, row, other) if clarity[j] > 0 else (0.0, 0.0, 0.0)
        if 0 < low < value:
            setting = sheet.settings[j]
            places = max(1 - math.floor(math.log10(value - low)), 0)  # two digits of the interval's half
            unit = "points" if setting.unit == "%" else setting.unit
            where = f"{setting.task_name} on {setting.data}" if setting.data else setting.name
            interval = f"95 % interval {low:.{places}f} … {high:.{places}f}"
            return f"{value:.{places}f} {unit} of {where} ({interval})".replace("  ", " ")
    value, _, low, high = ranking.difference(row, other)
    return f"{value:.2f} in mean z (95 % interval {low:.2f} … {high:.2f})"


def document(ranking: Ranking, found: Pick) -> dict[str, Any]:
    """The pick as JSON values."""
    sheet = ranking.sheet
    return {
        "pick": sheet.labels[found.row],
        "best": sheet.labels[found.best],
        "tied": [sheet.labels[row] for row in found.tied],
        "cost": found.cost or None,
        "limits": [asdict(limit) for limit in found.limits],
        "sentences": sentences(ranking, found),
    }
