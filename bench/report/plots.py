"""What the page's plots show, as JSON values: points, their fronts, and distributions of latency.

Fronts are computed here, by the same function as everywhere; the page's script only draws.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.records import stats
from bench.verdict.ranking import Ranking
from bench.verdict.row import Row
from bench.verdict.sheet import Column
from bench.verdict.table import in_order

STEPS = 200
"""Points of a cumulative distribution: a page must stay small whatever was measured."""


def points(ranking: Ranking, cost: str) -> dict[str, Any]:
    """The scatter: ``x`` and ``y`` columns to choose from, one point a ranked row, and the front of every pair.

    Returns:
        ``x``, ``y``: columns (name, title, unit, direction, values and errors of the ranked rows); ``rows``: labels of
        the ranked rows; ``fronts``: x → y → indices of ranked rows, cheapest first; ``start``: the cost to open with.
    """
    sheet, ranked = ranking.sheet, ranking.ranked
    standing = {s.row: s for s in ranking.standings}
    z = [standing[r].z for r in ranked]
    ys = [_axis(Column("z", "", True, "mean z-score over all settings"), z, [standing[r].z_error for r in ranked])]
    for j, setting in enumerate(sheet.settings):
        ys.append(_axis(setting, sheet.values[ranked, j], sheet.errors[ranked, j]))
    xs = [_axis(c, sheet.cost_values[ranked, j]) for j, c in enumerate(sheet.costs)]
    xs = [x for x in xs if any(v is not None for v in x["values"])]
    rows = [{"name": sheet.name(r), **sheet.labels[r], "rank": standing[r].rank} for r in ranked]
    fronts = {x["name"]: {y["name"]: _front(x, y) for y in ys} for x in xs}
    return {"x": xs, "y": ys, "rows": rows, "fronts": fronts, "start": cost}


def _axis(column: Column, values: Any, errors: Any = ()) -> dict[str, Any]:
    return {
        "name": column.name,
        "about": column.about,
        "unit": column.unit,
        "higher": column.higher_is_better,
        "values": [_plain(v) for v in values],
        "errors": [_plain(v) for v in errors],
    }


def _front(x: dict[str, Any], y: dict[str, Any]) -> list[int]:
    costs = [None if v is None else -v if x["higher"] else v for v in x["values"]]
    gains = [None if v is None else v if y["higher"] else -v for v in y["values"]]
    on = stats.pareto_front(gains, costs)
    return sorted((i for i, yes in enumerate(on) if yes), key=lambda i: (costs[i], gains[i]))


def distributions(rows: Sequence[Row]) -> dict[str, list[dict[str, Any]]]:
    """Cumulative distributions of every query's time, all repeats together: series → one curve a cell.

    Returns:
        For each series its curves: ``name``, ``n``, and ``ms``, the quantiles at 0, 1/200, …, 1.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for scenario in in_order({scenario for row in rows for scenario in row.timings}):
        for row in rows:
            series: dict[str, list[int]] = {}
            for one in row.timings[scenario].series if scenario in row.timings else ():
                series.setdefault(one.name, []).extend(one.samples)
            for name, samples in series.items():
                if not samples:
                    continue
                ordered = np.sort(np.array(samples)) / 1e6
                ranks = np.ceil(np.arange(STEPS + 1) / STEPS * len(ordered) - 1e-9).astype(int)
                curve = [float(f"{v:.4g}") for v in ordered[np.maximum(ranks, 1) - 1]]
                title = scenario if name in ("latency", scenario) else f"{scenario}: {name.replace('_', ' ')}"
                found.setdefault(title, []).append({"name": str(row.cell), "n": len(samples), "ms": curve})
    return found


def embedded(values: Any) -> str:
    """JSON that may stand inside a script element, whatever names it holds."""
    text = json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _plain(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else float(f"{value:.6g}")
