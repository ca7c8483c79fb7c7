"""What a lower precision loses against fp32; a cell that loses more than a point is marked."""

from __future__ import annotations

from collections.abc import Sequence

from bench.verdict.row import Row

REFERENCE = "fp32"
ALLOWED = 1.0
"""Percentage points that a score may lie below fp32's."""


def losses(row: Row, rows: Sequence[Row]) -> list[str]:
    """The scores in percent that lie more than a point below those of the same network in fp32, on the same machine
    and engine or else on any: ``"knn@cifar10 −1.4"``. Empty for fp32 itself, and where nothing can be compared.
    """
    if row.cell.precision == REFERENCE:
        return []
    twins = [r for r in rows if r.cell.precision == REFERENCE and r.cell.network == row.cell.network]
    twins.sort(key=lambda r: (r.machine != row.machine, r.cell.engine != row.cell.engine))
    found = []
    for name, record in row.scores.items():
        reference = next((r.scores[name].main for r in twins if name in r.scores), None)
        own = record.main
        if reference is None or own.unit != "%" or None in (own.value, reference.value):
            continue
        lost = (reference.value or 0.0) - (own.value or 0.0)
        if not own.higher_is_better:
            lost = -lost
        if lost > ALLOWED:
            found.append(f"{name} −{lost:.1f}")
    return found


def note(rows: Sequence[Row]) -> list[str]:
    """One sentence for the foot of a table; none where nothing was lost."""
    lossy = [f"{row.cell} ({', '.join(lost)})" for row in rows if (lost := losses(row, rows))]
    return [f"▼ more than {ALLOWED:g} point below fp32: {'; '.join(lossy)}."] if lossy else []
