"""From which load one machine is cheaper than another, each counted in whole machines.

Costs rise in steps, so that near the break-even the two may change places several times. Exact: no load is sampled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from bench.verdict.digits import number
from bench.verdict.money import MONTH, Price, price_of
from bench.verdict.price import AT_SLO, environment_of, per_million, replicas, slo_of
from bench.verdict.row import Row
from export.errors import UserError

STEPS = 10_000
"""Machines beyond which no break-even is looked for: the two cost the same, to that precision."""


@dataclass(frozen=True)
class Offer:
    """A machine: what it costs an hour, and what it serves a second within the bound."""

    per_h: float
    images_per_s: float

    def cost_per_h(self, load: float) -> float:
        """For a load in images a second, with whole machines."""
        return self.per_h * replicas(load, self.images_per_s)


@dataclass(frozen=True)
class BreakEven:
    """Which of two offers is cheaper, by load in images a second.

    Attributes:
        cheaper: the offer that wins for large loads: 0 or 1; None where both cost the same for an image.
        first: just above this load it is cheaper for the first time; 0 where it is from the first image on.
        settled: above this load it is never dearer again.
    """

    cheaper: int | None
    first: float = 0.0
    settled: float = 0.0


def break_even(one: Offer, other: Offer) -> BreakEven:
    """Compare two offers over all loads.

    The one with the lower cost per image wins at last. It is dearer just above k of its machines' rate as long as the
    other needs fewer than (k + 1) times the price ratio; the largest such load is looked for from above.
    """
    offers = [(Fraction(o.per_h), Fraction(o.images_per_s)) for o in (one, other)]
    slopes = [price / rate for price, rate in offers]
    if abs(slopes[0] - slopes[1]) * STEPS < min(slopes):
        return BreakEven(None)
    winner = int(slopes[1] < slopes[0])
    (price, rate), (price_other, rate_other) = offers[winner], offers[1 - winner]
    settled = Fraction(0)
    most = price / (slopes[1 - winner] - slopes[winner]) / rate  # from here on the winner is never dearer
    for k in range(int(most) + 1, -1, -1):
        machines = -(-(k + 1) * price // price_other) - 1  # so many of the other's cost strictly less than k + 1
        end = min((k + 1) * rate, machines * rate_other)
        if end > k * rate:
            settled = end
            break
    j = 0
    while (j * rate_other // rate + 1) * price >= (j + 1) * price_other:
        j += 1
    return BreakEven(winner, float(j * rate_other), float(settled))


def sentence(names: tuple[str, str], offers: tuple[Offer, Offer], currency: str = "") -> str:
    """The break-even of two named offers, in a sentence or two."""
    found, unit = break_even(*offers), f" {currency}" if currency else ""
    if found.cheaper is None:
        return f"{names[0]} and {names[1]} cost the same for an image."
    winner, loser = names[found.cheaper], names[1 - found.cheaper]
    each = [f"{number(per_million(o.per_h, o.images_per_s))}{unit}" for o in offers]
    per_image = f"at full load {each[found.cheaper]} against {each[1 - found.cheaper]} a million images"
    if not found.settled:
        return f"{winner} never costs more than {loser}: {per_image}."
    least, most = sorted((found.first, found.settled))
    above = f"{winner} costs less above {number(most)} images/s ({number(most * MONTH / 1e6)} million a month)"
    if found.first >= found.settled:
        return f"{above}, {loser} below {number(least)}: {per_image}."
    return f"{above}, {loser} below {number(least)}; in between they change places: {per_image}."


def between(
    before: Sequence[Row], after: Sequence[Row], price_before: Sequence[Price], price_after: Sequence[Price]
) -> list[dict[str, Any]]:
    """The break-even of every cell that both sides have a rate of, as JSON values.

    Raises:
        UserError: the rates keep different bounds, the prices have different currencies, a machine has no price, or
            no cell has a rate on both sides.
    """
    currencies = {price.currency for price in (*price_before, *price_after)}
    if len(currencies) > 1:
        raise UserError("The prices are in several currencies.", ", ".join(sorted(c or "none" for c in currencies)))
    bounds = {bound for bound in map(slo_of, (before, after)) if bound}
    if len(bounds) > 1:
        raise UserError("The rates of the two folders keep different bounds.", f"{' and '.join(sorted(bounds))}.")
    earlier = {row.cell.called: row for row in before}
    found = []
    for row in after:
        old = earlier.get(row.cell.called)
        if row.parity is None and not row.scores:  # the baseline, which computes nothing
            continue
        rates = [_rate(old), _rate(row)] if old else [None, None]
        if old is None or rates[0] is None or rates[1] is None:
            continue
        one, other = _offer(old, rates[0], price_before), _offer(row, rates[1], price_after)
        even = break_even(one, other)
        names = (f"{row.cell} before", f"{row.cell} after")
        winner = None if even.cheaper is None else ("before", "after")[even.cheaper]
        said = sentence(names, (one, other), next(iter(currencies)))
        found.append({"cell": str(row.cell), "before": one, "after": other, "sentence": said} | asdict(even))
        found[-1]["cheaper"] = winner
    if not found:
        raise UserError(
            "No cell of both folders has a rate within a bound on latency.",
            "The break-even needs scenario server, and a bound that can be kept.",
            "bob run --scenarios server --slo p99=50ms",
        )
    return found


def _rate(row: Row) -> float | None:
    record = row.timings.get("server")
    metric = record.metric(AT_SLO) if record else None
    return metric.value if metric else None


def _offer(row: Row, rate: float, prices: Sequence[Price]) -> Offer:
    machine = environment_of(row)
    price = price_of(machine, prices) if machine else None
    if machine is None or price is None:
        name = f"{machine.name} ({machine.id})" if machine else "the machine"
        raise UserError(f"No price is given for {name}.", f"Prices: {'; '.join(map(str, prices))}.")
    return Offer(price.per_h, rate)
