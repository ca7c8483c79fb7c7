"""The cell to ship: the cheapest that is not significantly less accurate than the best, and why, in short sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bench.records import stats
from bench.verdict.digits import number
from bench.verdict.lines import wrapped
from bench.verdict.ranking import FINE, Ranking
from bench.verdict.sheet import Floats
from bench.verdict.significance import Bools
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

    @property
    def option(self) -> str:
        """As the command line has it."""
        return f"--{'min' if self.least else 'max'} {self.column}={self.value:.15g}"

    def values(self, ranking: Ranking) -> Floats:
        """The column's values, by row of the sheet.

        Raises:
            UserError: there is no such column, or the limit would ask for the worst of it.
        """
        column, values = ranking.sheet.cost(self.column)
        self.require(column.higher_is_better)
        return values

    def require(self, higher_is_better: bool) -> None:
        """Refuse a limit in the wrong direction.

        Raises:
            UserError: it would ask for the worst of its column.
        """
        if higher_is_better != self.least:
            better, right = "higher" if higher_is_better else "lower", replace(self, least=higher_is_better)
            raise UserError(
                f"{self.column}: {better} is better.", f"A limit of {self} would ask for the worst.", right.option
            )

    def holds(self, values: Floats | float) -> Bools:
        """Which values are within; an unknown one is not."""
        return np.asarray(values >= self.value if self.least else values <= self.value, np.bool_)

    def over(self, values: Floats) -> Floats:
        """By which part of the limit each value is beyond it; negative where it is within, inf where unknown."""
        beyond = (self.value - values if self.least else values - self.value) / (abs(self.value) or 1.0)
        return np.where(np.isnan(beyond), math.inf, beyond)

    def loose(self, value: float) -> float:
        """The value in three digits, rounded so that as a limit it still lets ``value`` in."""
        if not value:
            return value
        step = 10.0 ** (math.floor(math.log10(abs(value))) - 2)
        return float(f"{(math.floor if self.least else math.ceil)(value / step) * step:.3g}")


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
    field = Field(ranking, cost)
    inside = field.inside(limits)
    if not inside.any():
        raise _nothing(field, limits)
    row, best, tied = field.choose(inside)
    decided = bool(cost) and bool(np.isfinite(field.prices[field.place(row)]))
    return Pick(row, best, tied, cost if decided else "", tuple(limits))


class Field:
    """The ranked cells, best first, as the arrays that the rule looks at; the page's script has the same rule.

    Attributes:
        rows: of the sheet. gains: mean z, rounded to what counts. prices: the cost that decides, as lower is better;
            inf where it is unknown. ahead: who is significantly better than whom, [n, n].
    """

    def __init__(self, ranking: Ranking, cost: str) -> None:
        self.ranking = ranking
        self.rows = np.array([s.row for s in ranking.standings], np.intp)
        self.gains = np.array([round(s.z or 0.0, FINE) for s in ranking.standings])
        self.prices = np.full(len(self.rows), math.inf)
        if cost:
            column, values = ranking.sheet.cost(cost)
            paid = values[self.rows] * (-1 if column.higher_is_better else 1)
            self.prices = np.where(np.isnan(paid), math.inf, paid)
        places = [ranking.place[row] for row in self.rows]
        self.ahead = ranking.leads[np.ix_(places, places)] if places else np.zeros((0, 0), np.bool_)

    def place(self, row: int) -> int:
        """Where a row of the sheet stands here."""
        return int(np.flatnonzero(self.rows == row)[0])

    def inside(self, limits: Sequence[Limit]) -> Bools:
        """The cells within all limits; one whose cost is unknown is not.

        Raises:
            UserError: an unknown column, or a limit in the wrong direction.
        """
        inside: Bools = np.ones(len(self.rows), bool)
        for limit in limits:
            inside &= limit.holds(limit.values(self.ranking)[self.rows])
        return inside

    def front(self, inside: Bools) -> npt.NDArray[np.intp]:
        """Places on the Pareto front of the cells inside, cheapest first."""
        known = np.flatnonzero(inside & np.isfinite(self.prices))
        on = stats.pareto_front(self.gains[known].tolist(), self.prices[known].tolist())
        front = known[np.array(on, bool)]
        return np.asarray(front[np.lexsort((self.rows[front], self.prices[front]))], np.intp)

    def contenders(self, inside: Bools) -> npt.NDArray[np.intp]:
        """Places that no cell which costs no more is significantly better than: the front as far as it is certain."""
        known = np.flatnonzero(inside & np.isfinite(self.prices))
        beaten = self.ahead[np.ix_(known, known)] & (self.prices[known][:, None] <= self.prices[known])
        return known[~beaten.any(axis=0)]

    def choose(self, inside: Bools) -> tuple[int, int, tuple[int, ...]]:
        """The rule: row to ship, most accurate row, rows not significantly below that one.

        The most accurate is, of several that compute the same, the cheapest. A noisy cell may tie with it while a
        better and cheaper one, with smaller errors, does not: so the cheapest tied cell on the front is shipped.
        """
        places = np.flatnonzero(inside)
        equal = places[self.gains[places] >= self.gains[places[0]]]
        best = equal[np.argmin(self.prices[equal])]
        tied = places[~self.ahead[best, places]]
        front = self.front(inside)
        cheapest = front[~self.ahead[best, front]]
        row = cheapest[0] if len(cheapest) else best
        return int(self.rows[row]), int(self.rows[best]), tuple(self.rows[tied].tolist())


def _nothing(field: Field, limits: Sequence[Limit]) -> UserError:
    """That nothing is within the limits, and how near the nearest cell comes."""
    sheet = field.ranking.sheet
    what = f"No ranked cell has {' and '.join(map(str, limits))}."
    over = np.array([limit.over(limit.values(field.ranking)[field.rows]) for limit in limits])
    worst = np.maximum(over, 0.0).max(axis=0)
    if not np.isfinite(worst).any():
        empty = [limit.column for limit, of in zip(limits, over, strict=True) if not np.isfinite(of).any()]
        return UserError(what, f"No ranked cell has a value of {' or '.join(empty) or 'all these columns'}.")
    place = int(np.argmin(worst))
    row, parts, loosened = int(field.rows[place]), [], []
    for limit, by in zip(limits, over[:, place], strict=True):
        value = float(limit.values(field.ranking)[row])
        side = "below" if limit.least else "over"
        parts.append(f"{limit.column} {number(value)} ({f'{number(100 * by)} % {side}' if by > 0 else 'within'})")
        loosened.append(str(replace(limit, value=limit.loose(value) if by > 0 else limit.value).option))
    why = f"The nearest is {sheet.name(row)}: {', '.join(parts)}."
    if len(limits) > 1 and (over <= 0).any(axis=1).all():
        why = f"Each limit alone can be met, all together cannot. {why}"
    return UserError(what, why, " ".join(loosened))


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
        return f"it has the highest mean z; {'its cost is not known' if sheet.costs else 'no cost was measured'}"
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
            by = difference(ranking, row, worse[0])
            return f"{who} is significantly more accurate than{count} {ranking.sheet.name(worse[0])}, by {by}."
    images = ranking.images()
    return (
        "No difference between these cells is significant"
        + (f" with {images:,} test images" if images else "")
        + ": more test images would help."
    )


def difference(ranking: Ranking, row: int, other: int) -> str:
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
