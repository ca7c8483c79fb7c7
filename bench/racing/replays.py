"""Replays side by side: for each task and data set what the races spent and how far from the best they ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from bench.racing.replay import Replays
from bench.verdict.markdown import table
from bench.verdict.picking import Limit
from export.command import print_table

HEADS = (
    "task and data",
    ">cells",
    ">backbones",
    ">test images",
    ">started",
    ">seen",
    ">finalists",
    ">image-work",
    ">regret, most",
    ">regret ≤ tolerance",
    ">best inside",
    ">certificate held",
)


def print_replays(found: Sequence[Replays], limits: Sequence[Limit], delta: float) -> None:
    """A table, and how to read it."""
    print_table(HEADS, [_row(one) for one in found])
    within = f" with {' and '.join(map(str, limits))}" if limits else ""
    seeds = len(found[0].outcomes)
    print(
        f"Means over {seeds} orders of the test images{within}. image-work: images run through engines, of those of\n"
        "the exhaustive sweep. regret: points below the best cell within the budget, on all test images.\n"
        f"The certificate may fail in {delta:.0%} of races.\n"
        "Costs at rung 0 are predicted from the timings of the other backbones; the finals' are those recorded."
    )


def markdown(found: Sequence[tuple[Sequence[Limit], Sequence[Replays]]]) -> str:
    """A table of replays within several budgets."""
    rows = [[" and ".join(map(str, limits)) or "none", *_row(one)] for limits, replays in found for one in replays]
    heads = ["budget", *(head.lstrip(">") for head in HEADS)]
    return table(heads, rows, range(2, len(heads)))


def document(found: Sequence[Replays]) -> list[dict[str, Any]]:
    """Every replay, with its means, as JSON values."""
    return [asdict(one) | {"image_work": one.mean("work")} for one in found]


def _row(one: Replays) -> list[str]:
    outcomes, n = one.outcomes, len(one.outcomes)
    near = sum(outcome.regret <= one.tolerance + 1e-9 for outcome in outcomes)
    return [
        one.setting,
        str(one.cells),
        str(one.arms),
        str(one.test),
        f"{one.mean('started'):.0f}",
        f"{one.mean('seen'):.0f}",
        f"{one.mean('finalists'):.1f}",
        f"{one.mean('work'):.1%}",
        f"{np.max([outcome.regret for outcome in outcomes]):.2f}",
        f"{near} of {n}",
        f"{sum(outcome.inside for outcome in outcomes)} of {n}",
        f"{sum(outcome.held for outcome in outcomes)} of {n}",
    ]
