"""From which load one machine is cheaper than another, each counted in whole machines.

Costs rise in steps, so that near the break-even the two may change places several times. Exact: no load is sampled.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from bench.verdict.digits import number
from bench.verdict.money import MONTH
from bench.verdict.price import per_million, replicas

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
