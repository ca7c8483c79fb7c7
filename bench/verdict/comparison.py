"""Two results folders, cell by cell: better, worse, or not significantly different.

Scores are compared over the same test images and seeded draws of training images (paired bootstrap). A timing counts as
changed only beyond its spread between repeats. What may not be compared is listed with the reason instead of a verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from bench.records import stats
from bench.records.record import Record, ScoreRecord
from bench.verdict.row import SPREAD_PERCENT, Row

Verdict = Literal["better", "worse", "ambiguous", "not comparable"]


@dataclass(frozen=True)
class Difference:
    """The main metric of one result of one cell, before and after.

    Attributes:
        low, high: interval of after − before: of a score, 95 % of the paired bootstrap; of a timing, ± the spreads
            between repeats of both, at least 2.5 % each.
        verdict: "better" or "worse" where the interval leaves out zero, "ambiguous" where it does not.
        why: what stands against a comparison.
    """

    cell: str
    result: str
    metric: str
    unit: str
    before: float | None
    after: float | None
    low: float | None = None
    high: float | None = None
    verdict: Verdict = "not comparable"
    why: str = ""


def compare(before: Sequence[Row], after: Sequence[Row]) -> list[Difference]:
    """Differences of all results that are on both sides, of cells that differ in threads, or in weights, at most."""
    earlier = {(row.cell.called, name): record for row in before for name, record in _results(row)}
    return [
        _difference(_named(row, old), name, old, record)
        for row in after
        for name, record in _results(row)
        if (old := earlier.get((row.cell.called, name)))
    ]


def _named(row: Row, old: Record) -> str:
    """The cell; training again gives other weights to the same name, and that is worth comparing, and saying."""
    return str(row.cell) if row.cell.weights == old.cell.weights else f"{row.cell} (other weights)"


def _results(row: Row) -> list[tuple[str, Record]]:
    return [*row.scores.items(), *row.timings.items()]


def _difference(cell: str, name: str, old: Record, new: Record) -> Difference:
    a, b = old.main, new.main
    found = Difference(cell, name, b.name, b.unit, a.value, b.value)
    if a.name != b.name or old.protocol != new.protocol:
        return replace(found, why="other data, task version, settings, machine or threads")
    if a.value is None or b.value is None:
        return replace(found, why=a.note or b.note or "no value")
    if isinstance(old, ScoreRecord) and isinstance(new, ScoreRecord):
        if not old.per_sample or len(old.per_sample) != len(new.per_sample):
            return replace(found, why="no per-sample results to pair")
        low, high = _paired(old, new)
    else:
        margin = _spread(old) * a.value + _spread(new) * b.value
        low, high = b.value - a.value - margin, b.value - a.value + margin
    ahead, behind = (low > 0, high < 0) if b.higher_is_better else (high < 0, low > 0)
    return replace(found, low=low, high=high, verdict="better" if ahead else "worse" if behind else "ambiguous")


def _paired(before: ScoreRecord, after: ScoreRecord) -> tuple[float, float]:
    by_draw = stats.side_by_side([before.per_draw, after.per_draw])
    samples = np.array([before.per_sample, after.per_sample]).T
    means = stats.paired_bootstrap(samples, by_draw=[] if by_draw is None else [by_draw])
    return stats.interval(means[:, 1] - means[:, 0])


def _spread(record: Record) -> float:
    """Relative spread of a timing's main metric between repeats, at least 2.5 %."""
    spread = record.metric("repeat_spread_percent")
    return max(SPREAD_PERCENT, (spread.value if spread else None) or 0.0) / 100
