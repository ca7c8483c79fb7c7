"""Is a backbone that is good at one task good at another, and does size help?

Spearman's rank correlation between tasks, and of each task with parameters, multiply-accumulates and latency, with a
95 % interval by bootstrap over backbones. A backbone is one row: its cells on several engines and in several precisions
are nearly the same network, so together they would make few backbones look like many.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from bench.records import stats
from bench.verdict.markdown import table
from bench.verdict.sheet import Floats, Sheet
from export.errors import UserError, unknown

SIZES = ("parameters_m", "gmacs", "latency_p50_ms")
"""Cost columns that stand for size."""
LEAST = 3
"""Backbones that a correlation needs: two always give 1 or −1."""
LEAST_INTERVAL = 5
"""Backbones that an interval needs: of fewer there are hardly any different resamples."""
DRAWS = 2000


@dataclass(frozen=True)
class Correlation:
    """Two columns over the ``n`` backbones that have both.

    Attributes:
        one, other: a task on a data set (``task@data``), or a size. Tasks count from worse to better, sizes from small
            to large (and from fast to slow).
        rho: Spearman's; None with fewer than three backbones, or where all are equal.
        low, high: 95 % interval by bootstrap over backbones; None with fewer than five, or where there is no rho.
        note: why there is no rho or no interval.
    """

    one: str
    other: str
    n: int
    rho: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Choice:
    """Which cell stands for a backbone; ``rows`` are the sheet's, one a backbone."""

    engine: str
    precision: str
    rows: tuple[int, ...]


def choose(sheet: Sheet, engine: str | None = None, precision: str = "fp32") -> Choice:
    """One ranked cell a backbone: untrained ones, failed ones and those that fail parity are no rows. Of several inputs
    and depths it is the whole network at the largest.

    Args:
        engine: ``name:provider``; by default the one with the most backbones in that precision.

    Raises:
        UserError: no cell of that engine and precision is scored.
    """
    ranked = [i for i, status in enumerate(sheet.status) if status == "ok"]
    if not ranked:
        raise UserError("There is no scored cell.", "; ".join(dict.fromkeys(filter(None, sheet.why))))
    precisions = {str(sheet.labels[i]["precision"]) for i in ranked}
    if precision not in precisions:
        raise unknown("precision of a scored cell", precision, precisions)
    rows = [i for i in ranked if sheet.labels[i]["precision"] == precision]
    rows.sort(key=lambda i: _whole(sheet.labels[i]), reverse=True)
    counts = Counter(str(sheet.labels[i]["engine"]) for i in rows)
    if engine and engine not in counts:
        raise unknown("engine of a scored cell", engine, counts)
    chosen = engine or min(counts, key=lambda name: (-counts[name], name))
    cells: dict[str, int] = {}
    for i in rows:
        if sheet.labels[i]["engine"] == chosen:
            cells.setdefault(str(sheet.labels[i]["backbone"]), i)
    return Choice(chosen, precision, tuple(cells.values()))


def _whole(label: Mapping[str, Any]) -> tuple[bool, int]:
    """Whether a network is whole, and the pixels of its input."""
    return not label.get("depth"), (label.get("height") or 0) * (label.get("width") or 0)


def correlations(sheet: Sheet, rows: Sequence[int], seed: int = 0) -> list[Correlation]:
    """Every pair of tasks, then every task with every size that was measured."""
    signs = [1.0 if s.higher_is_better else -1.0 for s in sheet.settings]
    tasks = {s.name: sheet.values[list(rows), j] * signs[j] for j, s in enumerate(sheet.settings)}
    tasks = {name: values for name, values in tasks.items() if not np.isnan(values).all()}
    known = {c.name for c in sheet.costs}
    sizes = {name: sheet.cost(name)[1][list(rows)] for name in SIZES if name in known}
    pairs = [(a, tasks[a], b, tasks[b]) for a, b in combinations(tasks, 2)]
    pairs += [(a, tasks[a], b, sizes[b]) for b in sizes for a in tasks]
    return [_of(a, x, b, y, seed) for a, x, b, y in pairs]


def _of(one: str, x: Floats, other: str, y: Floats, seed: int) -> Correlation:
    both = ~np.isnan(x) & ~np.isnan(y)
    x, y, n = x[both], y[both], int(both.sum())
    if n < LEAST:
        return Correlation(one, other, n, None, note=f"{n} of the {LEAST} backbones needed")
    rho = float(stats.spearman(x[None], y[None])[0])
    if np.isnan(rho):
        return Correlation(one, other, n, None, note="all equal in one of the two")
    if n < LEAST_INTERVAL:
        return Correlation(one, other, n, rho, note=f"no interval: {n} of the {LEAST_INTERVAL} backbones needed")
    picked = np.random.default_rng(seed).integers(n, size=(DRAWS, n))
    drawn = stats.spearman(x[picked], y[picked])
    low, high = stats.interval(drawn[~np.isnan(drawn)])  # a resample may be of one backbone, or of equal ones
    return Correlation(one, other, n, rho, low, high)


def markdown(found: Sequence[Correlation], choice: Choice) -> str:
    """The table, below a sentence on what its rows are."""
    about = (
        f"{len(choice.rows)} backbones, {choice.precision} on {choice.engine}. A backbone is one row: its other cells "
        "are nearly the same network. Tasks count from worse to better, sizes from small to large; intervals: 95 %, "
        f"{DRAWS:,} resamples of the backbones, percentile method."
    )
    heads = ["column", "with", "n", "Spearman's ρ", "95 % interval"]
    rows = [
        [
            c.one,
            c.other,
            str(c.n),
            "n/a" if c.rho is None else f"{c.rho:.2f}",
            f"{c.low:.2f} … {c.high:.2f}" if c.low is not None else f"n/a ({c.note})",
        ]
        for c in found
    ]
    return f"{about}\n\n{table(heads, rows, numbers=(2, 3))}"
