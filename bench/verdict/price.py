"""What a price makes of rates: cost columns like all others, which budgets, fronts, sliders and files take.

A machine is paid while it runs, and serves one cell. What it can serve is the highest rate that keeps the bound on
latency (scenario server); beside it stands what full throughput would give (offline), which no bound limits.

Pure functions over a sheet and its rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from bench.records.parts import Environment
from bench.verdict.money import HOUR, Load, Price, price_of
from bench.verdict.row import Row
from bench.verdict.sheet import Column, Floats, Sheet
from export.errors import UserError

AT_SLO, OFFLINE = "server_images_per_s", "throughput_images_per_s"
PER_MILLION, PER_MILLION_OFFLINE, PER_H = "cost_per_million", "cost_per_million_offline", "cost_per_h"
REPLICAS, HEADROOM = "replicas", "headroom_percent"
NO_CURRENCY = "units"


def per_million(per_h: float, images_per_s: float) -> float:
    """What a million images cost on a machine that is busy all the time, in the price's currency."""
    return per_h / HOUR / images_per_s * 1e6


def replicas(load: float, images_per_s: float) -> float:
    """Machines that a load needs, a whole number; NaN where the rate is unknown.

    Poisson arrivals that are dealt out at random are Poisson arrivals again, so that each machine keeps the bound at
    its share; a balancer that looks at queues does better.

    Args:
        load: images a second in all. images_per_s: what one machine can serve.
    """
    if math.isnan(images_per_s):
        return math.nan
    return max(math.ceil(load / images_per_s * (1 - 1e-12)), 1)


def priced(sheet: Sheet, found: Sequence[Row], prices: Sequence[Price], load: Load | None = None) -> Sheet:
    """The sheet with columns of money, first the one that decides; of a backbone with a head likewise.

    Args:
        found: the rows of the sheet, in its order.

    Raises:
        UserError: no row's machine has a price, one has several, or nothing was measured that a price can be put on.
    """
    machines = [environment_of(row) for row in found]
    per_h = np.array([_per_h(machine, prices) for machine in machines])
    if prices and np.isnan(per_h).all():
        names = sorted({f"{machine.name} ({machine.id})" for machine in machines if machine})
        raise UserError(
            "None of the machines has a price.",
            f"Prices: {'; '.join(map(str, prices))}. Machines: {'; '.join(names) or 'none timed anything'}.",
        )
    heads = list(dict.fromkeys(column.head for column in sheet.costs))
    added = [pair for head in heads for pair in _columns(sheet, head, per_h, prices, load)]
    if not added:
        raise UserError(
            "There is no rate that a price or a load can be put on.",
            "They need the scenario server or offline.",
            "bob run --scenarios server,offline --slo p99=50ms",
        )
    values = np.column_stack([sheet.cost_values, *(value for _, value in added)])
    costs = (*sheet.costs, *(column for column, _ in added))
    return replace(sheet, costs=costs, cost_values=values, money=tuple(_foot(sheet, found, prices, load, per_h)))


def environment_of(row: Row) -> Environment | None:
    """The machine that a row was timed on; None where nothing was."""
    return next((record.environment for record in row.timings.values()), None)


def slo_of(found: Sequence[Row]) -> str:
    """The bound on latency that the rates of scenario server keep; empty where none was measured."""
    asked = (row.timings["server"].subject.settings for row in found if "server" in row.timings)
    return next((str(settings["slo"]) for settings in asked if settings.get("slo")), "")


def _per_h(machine: Environment | None, prices: Sequence[Price]) -> float:
    price = price_of(machine, prices) if machine else None
    return price.per_h if price else math.nan


def _columns(
    sheet: Sheet, head: str, per_h: Floats, prices: Sequence[Price], load: Load | None
) -> list[tuple[Column, Floats]]:
    """The columns of money of the backbone alone, or with one head; only those that some row has a value of."""
    currency = (prices[0].currency if prices else "") or NO_CURRENCY
    slo, full = (_rates(sheet, name, head) for name in (AT_SLO, OFFLINE))
    need = np.array([replicas(load.per_s, rate) for rate in slo]) if load else np.full(len(slo), math.nan)
    spare = 100 * (1 - load.per_s / (need * slo)) if load else need
    columns = [
        (PER_H, currency, False, "an hour of all machines that the load needs", need * per_h),
        (PER_MILLION, currency, False, "a million images at the highest rate within the bound", _each(per_h, slo)),
        (REPLICAS, "", False, "machines that the load needs at the highest rate within the bound", need),
        (HEADROOM, "%", True, "what the load leaves of the machines' capacity", spare),
        (PER_MILLION_OFFLINE, currency, False, "a million images at full throughput", _each(per_h, full)),
    ]
    prefix = f"{head}." if head else ""
    return [
        (Column(f"{prefix}{name}", unit, higher, about, head=head, priced=True), values)
        for name, unit, higher, about, values in columns
        if not np.isnan(values[_counting(sheet)]).all()
    ]


def _counting(sheet: Sheet) -> list[int]:
    """The rows that may be ranked, or all where none may: not what the baseline, which computes nothing, costs."""
    return [row for row, status in enumerate(sheet.status) if status == "ok"] or list(range(len(sheet.status)))


def _rates(sheet: Sheet, name: str, head: str) -> Floats:
    wanted = f"{head}.{name}" if head else name
    for index, column in enumerate(sheet.costs):
        if column.name == wanted:
            return sheet.cost_values[:, index]
    return np.full(len(sheet.labels), math.nan)


def _each(per_h: Floats, rates: Floats) -> Floats:
    each: Callable[..., Floats] = np.vectorize(per_million, otypes=[float])
    return each(per_h, rates)


def _foot(sheet: Sheet, found: Sequence[Row], prices: Sequence[Price], load: Load | None, per_h: Floats) -> list[str]:
    """What a reader must know of the columns of money, in sentences."""
    lines = [f"Price: {price}." for price in prices]
    machines = {machine.name for row, cost in zip(found, per_h, strict=True) if (machine := _unpriced(row, cost))}
    if prices and machines:
        lines.append(f"No price is given for {', '.join(sorted(machines))}.")
    bound, rates = slo_of(found), [j for j, column in enumerate(sheet.costs) if column.name.endswith(AT_SLO)]
    kept = bool(rates) and not np.isnan(sheet.cost_values[np.ix_(_counting(sheet), rates)]).all()
    if not rates:
        lines.append(
            "Cost within a bound on latency, and replicas, need scenario server: bob run --scenarios server "
            "--slo p99=50ms. Cost at full throughput holds only where nobody waits for an answer."
        )
    elif not kept:
        lines.append(f"No cell keeps {bound} at any rate that was tried, so that there is no cost at that bound.")
    elif prices:
        lines.append(f"cost per million: at the highest rate with {bound} (server); offline: at full throughput.")
    if kept and load:
        lines.append(
            f"replicas: machines for {load}, each up to its highest rate with {bound}, images dealt out at random; "
            "headroom: what the load leaves of their capacity."
        )
    return lines


def _unpriced(row: Row, cost: float) -> Environment | None:
    return environment_of(row) if math.isnan(cost) else None
