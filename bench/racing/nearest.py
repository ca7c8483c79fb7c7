"""What to say where a budget leaves nothing: how near the nearest came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bench.verdict.digits import number
from bench.verdict.picking import Limit
from export.errors import UserError


def nothing_within(limits: Sequence[Limit], costs: Sequence[Mapping[str, float]], why: Sequence[str] = ()) -> UserError:
    """The error for a budget that no cell meets.

    Args:
        costs: of cells, by column. why: what is known of cells that were not measured.
    """
    parts, wider = [], []
    for limit in limits:
        known = [cost[limit.column] for cost in costs if limit.column in cost]
        if known:
            nearest = max(known) if limit.least else min(known)
            parts.append(f"the nearest measured cell has {limit.column} {number(nearest)}")
            if not limit.holds(nearest):
                slack = nearest * (0.99 if limit.least else 1.01)  # it is timed anew
                wider.append(replace(limit, value=float(f"{slack:.3g}")).option)
        else:
            parts.append(f"{limit.column} was not measured")
    return UserError(
        f"No cell has {' and '.join(map(str, limits))}.",
        "; ".join([*parts, *why[:1]]).capitalize() + ".",
        " ".join(wider) or "a wider budget",
    )
