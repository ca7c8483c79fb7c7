"""What a shift of the photographs costs each cell, and whether less than was to expect.

Effective robustness (Taori et al. 2020): accuracy under the shift less what a line through all cells, logit against
logit, predicts from the accuracy without it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.records.record import ScoreRecord
from bench.verdict.markdown import table
from bench.verdict.row import Row
from export.errors import UserError

LEAST = 3
"""Cells that a line needs: through two it always goes."""


@dataclass(frozen=True)
class Drop:
    """One cell under one shift; accuracies and their differences in percent, with standard errors.

    ``effective`` is None where there are fewer than three cells, or an accuracy is 0 or 100.
    """

    cell: str
    task: str
    shift: str
    without: float
    under: float
    drop: float
    stderr: float | None
    effective: float | None


def drops(rows: Sequence[Row]) -> list[Drop]:
    """Every cell's drop, by task and shift, the best under the shift first.

    Raises:
        UserError: no record is of a shift.
    """
    found: dict[tuple[str, str], list[tuple[str, ScoreRecord, ScoreRecord]]] = defaultdict(list)
    for row in rows:
        if row.failed_parity:
            continue  # it is never ranked
        for record in row.scores.values():
            base = _without(record, row.scores.values())
            if base and base.main.value is not None and record.main.value is not None:
                found[record.subject.task, record.subject.data].append((str(row.cell), base, record))
    if not found:
        raise UserError("No record here is of a shift.", "", "bob run --data A --shifted B")
    return [drop for (task, shift), cells in sorted(found.items()) for drop in _of(task, shift, cells)]


def markdown(found: Sequence[Drop]) -> str:
    """The table: one line a task, shift and cell."""
    heads = ["task", "shift", "cell", "without %", "under %", "drop, points", "effective robustness, points"]
    rows = [
        [
            d.task,
            d.shift,
            d.cell,
            f"{d.without:.1f}",
            f"{d.under:.1f}",
            f"{d.drop:.1f}" + ("" if d.stderr is None else f" ± {d.stderr:.1f}"),
            "n/a" if d.effective is None else f"{d.effective:+.1f}",
        ]
        for d in found
    ]
    return table(heads, rows, numbers=range(3, 7))


def _without(record: ScoreRecord, others: Iterable[ScoreRecord]) -> ScoreRecord | None:
    """The score of the same task on the same classes without the shift; None where the record is of no shift."""
    shift, same = record.subject.shift, [o for o in others if o.subject.task == record.subject.task]
    wanted = shift.without if shift else ()
    known = {name: o for o in same for name in (o.subject.data, o.subject.data_digest)}
    return next((known[name] for name in wanted if name in known), None)


def _of(task: str, shift: str, cells: list[tuple[str, ScoreRecord, ScoreRecord]]) -> list[Drop]:
    pairs = [(base.main.value or 0.0, record.main.value or 0.0) for _, base, record in cells]
    expected = _line(pairs)
    made = []
    for (cell, base, record), (without, under) in zip(cells, pairs, strict=True):
        errors = [base.main.stderr, record.main.stderr]
        # other images on either side, so their errors add in squares
        error = math.hypot(*(e for e in errors if e is not None)) if None not in errors else None
        line = expected(without)
        effective = None if line is None else under - line
        made.append(Drop(cell, task, shift, without, under, without - under, error, effective))
    return sorted(made, key=lambda d: -d.under)


def _line(pairs: Sequence[tuple[float, float]]) -> Callable[[float], float | None]:
    inside = [(_logit(a), _logit(b)) for a, b in pairs if 0 < a < 100 and 0 < b < 100]
    x, y = np.array(inside).reshape(-1, 2).T
    if len(inside) < LEAST or np.ptp(x) < 1e-9:
        return lambda without: None
    slope, offset = np.polyfit(x, y, 1)

    def expected(without: float) -> float | None:
        if not 0 < without < 100:
            return None
        return 100 / (1 + math.exp(-(slope * _logit(without) + offset)))

    return expected


def _logit(percent: float) -> float:
    return math.log(percent / (100 - percent))
