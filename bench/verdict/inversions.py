"""Where the order of backbones in eager fp32 is not the order as deployed.

Kendall's tau says how much of the order is kept. A pair is listed as inverted only if its order is certain on both
sides, and not the same: both intervals of a paired bootstrap over the test images, and over the seeded draws of
training images where a task takes some, leave out zero, on opposite sides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from bench.records import stats
from bench.records.record import ScoreRecord
from bench.verdict.markdown import table
from bench.verdict.row import Row
from export.errors import UserError


@dataclass(frozen=True)
class Pair:
    """Two backbones, ``ahead`` better than ``behind`` in eager fp32 by ``before``, and by ``after`` as deployed.

    Both differences are in the metric's unit, better being positive; their 95 % intervals leave out zero.
    """

    ahead: str
    behind: str
    before: float
    after: float

    def __str__(self) -> str:
        return f"{self.ahead} over {self.behind}: {self.before:+.1f} became {self.after:+.1f}"


@dataclass(frozen=True)
class Order:
    """One task on one data set, for one way of deploying.

    Attributes:
        tau: Kendall's tau-b of the main metric over ``backbones`` backbones; None where it is not defined.
        swapped: pairs in the opposite order. inverted: those whose difference is significant on both sides.
    """

    result: str
    deployed: str
    backbones: int
    tau: float | None
    swapped: int
    inverted: tuple[Pair, ...]


def orders(rows: Sequence[Row], reference: str | None = None) -> list[Order]:
    """Every task, data set, engine and precision that shares at least two backbones with the reference.

    Args:
        reference: the engine of the reference cells, as ``name:provider``; by default the eager one.

    Raises:
        UserError: there are no reference cells.
    """
    eager: dict[str, dict[str, ScoreRecord]] = defaultdict(dict)
    deployed: dict[tuple[str, str], dict[str, ScoreRecord]] = defaultdict(dict)
    for row in rows:
        c = row.cell
        if c.precision == "fp32" and (c.engine == reference if reference else c.reference):
            for result, record in row.scores.items():
                eager[result][c.network] = record
            continue
        if row.failed_parity:
            continue  # it is never ranked
        for result, record in row.scores.items():
            deployed[result, f"{c.engine} {c.precision}"][c.network] = record
    if not eager:
        raise UserError(
            f"There are no scores of {reference or 'an eager engine'} in fp32 to compare the others with.",
            "",
            "run the sweep with the eager engine too",
        )
    found = []
    for (result, how), records in sorted(deployed.items()):
        shared = sorted(set(records) & set(eager[result]))
        if len(shared) > 1:
            found.append(_order(result, how, [eager[result][b] for b in shared], [records[b] for b in shared]))
    return found


def markdown(found: Sequence[Order]) -> str:
    """The table: one line a task, data set and way of deploying."""
    heads = ["result", "deployed", "backbones", "Kendall's tau", "swapped", "significant inversions"]
    rows = [
        [
            order.result,
            order.deployed,
            str(order.backbones),
            "n/a" if order.tau is None else f"{order.tau:.2f}",
            str(order.swapped),
            "; ".join(map(str, order.inverted)) or "none",
        ]
        for order in found
    ]
    return table(heads, rows, numbers=(2, 3, 4))


def _order(result: str, how: str, before: list[ScoreRecord], after: list[ScoreRecord]) -> Order:
    names = [record.cell.network for record in before]
    sides = [np.array([_gain(record) for record in side]) for side in (before, after)]
    tau = stats.kendall(*sides)
    swapped, inverted = 0, []
    drawn = [_draws(side) for side in (before, after)]
    for i, j in combinations(range(len(names)), 2):
        was, now = (float(side[i] - side[j]) for side in sides)
        if was * now >= 0:
            continue
        swapped += 1
        if drawn[0] is None or drawn[1] is None:
            continue
        (low, high), (low_now, high_now) = (stats.interval(d[:, i] - d[:, j]) for d in drawn if d is not None)
        if (low > 0 and high_now < 0) or (high < 0 and low_now > 0):
            first, second = (i, j) if was > 0 else (j, i)
            sign = 1 if was > 0 else -1
            inverted.append(Pair(names[first], names[second], sign * was, sign * now))
    return Order(result, how, len(names), None if np.isnan(tau) else tau, swapped, tuple(inverted))


def _gain(record: ScoreRecord) -> float:
    main = record.main
    return (main.value or 0.0) * (1 if main.higher_is_better else -1)


def _draws(records: list[ScoreRecord]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None:
    """Means over resamples of test images, and of seeded draws of training images where a task takes some: [draws,
    backbones], all backbones seeing the same; None where they did not."""
    samples = stats.side_by_side([record.per_sample for record in records])
    if samples is None:
        return None
    signs = np.array([1.0 if record.main.higher_is_better else -1.0 for record in records])
    by_draw = stats.side_by_side([record.per_draw for record in records])
    return stats.paired_bootstrap(samples * signs, by_draw=[] if by_draw is None else [by_draw * signs])
