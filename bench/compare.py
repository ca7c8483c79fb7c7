"""``python -m bench.compare BEFORE AFTER``: two results folders, cell by cell: better, worse, or can't tell.

Scores are compared over the same test images and seeded draws of training images (paired bootstrap). A timing counts as
changed only beyond its spread between repeats. What may not be compared is listed with the reason instead of a verdict.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bench.rank import add_choice, number
from export.errors import UserError, run_cli

if TYPE_CHECKING:
    from bench.records.record import Record
    from bench.verdict.table import Row

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
    """Differences of all results that are on both sides; a cell is known by backbone, engine and precision."""
    earlier = {(str(row.cell), name): record for row in before for name, record in _results(row)}
    return [
        _difference(str(row.cell), name, earlier[str(row.cell), name], record)
        for row in after
        for name, record in _results(row)
        if (str(row.cell), name) in earlier
    ]


def _results(row: Row) -> list[tuple[str, Record]]:
    return [*row.scores.items(), *row.timings.items()]


def _difference(cell: str, name: str, old: Record, new: Record) -> Difference:
    a, b = old.metrics[0], new.metrics[0]
    found = Difference(cell, name, b.name, b.unit, a.value, b.value)
    if a.name != b.name or old.protocol != new.protocol:
        return replace(found, why="other data, task version, settings, machine or threads")
    if a.value is None or b.value is None:
        return replace(found, why=a.note or b.note or "no value")
    if new.kind == "score":
        if not old.per_sample or len(old.per_sample) != len(new.per_sample):
            return replace(found, why="no per-sample results to pair")
        low, high = _paired(old, new)
    else:
        margin = _spread(old) * a.value + _spread(new) * b.value
        low, high = b.value - a.value - margin, b.value - a.value + margin
    ahead, behind = (low > 0, high < 0) if b.higher_is_better else (high < 0, low > 0)
    return replace(found, low=low, high=high, verdict="better" if ahead else "worse" if behind else "ambiguous")


def _paired(before: Record, after: Record) -> tuple[float, float]:
    import numpy as np

    from bench.records import stats

    by_draw = stats.side_by_side([before.per_draw, after.per_draw])
    samples = np.array([before.per_sample, after.per_sample]).T
    means = stats.paired_bootstrap(samples, by_draw=[] if by_draw is None else [by_draw])
    return stats.interval(means[:, 1] - means[:, 0])


def _spread(record: Record) -> float:
    """Relative spread of a timing's main metric between repeats, at least 2.5 %."""
    from bench.verdict.table import SPREAD_PERCENT

    spread = record.metric("repeat_spread_percent")
    return max(SPREAD_PERCENT, (spread.value if spread else None) or 0.0) / 100


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m bench.compare",
        description="Compare two results folders: each result is better, worse, or the data cannot tell.",
    )
    p.add_argument("before", type=Path, help="results folder")
    p.add_argument("after", type=Path, help="results folder")
    add_choice(p)
    p.add_argument("--json", action="store_true")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Compare and print; 0 when done, whatever the verdicts."""
    args = parser().parse_args(argv)
    from bench.records.results import Results
    from bench.verdict.table import rows

    sides = [
        rows(Results.load(folder).choose(args.machine, args.data, args.protocol))[0]
        for folder in (args.before, args.after)
    ]
    found = compare(*sides)
    if not found:
        raise UserError(
            "The two folders share no result.",
            "A result is shared by backbone, engine, precision and its task and data set or scenario.",
        )
    if args.json:
        print(json.dumps([asdict(d) for d in found], indent=1, ensure_ascii=False))
    else:
        print_table(found)
    return 0


def print_table(found: Sequence[Difference]) -> None:
    """Print one line a result."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from bench.rank import print_wide

    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name in ("cell", "result", "metric"):
        table.add_column(name, no_wrap=True)
    for name in ("before", "after", "interval of the difference"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for d in found:
        values = [f"{number(v)} {d.unit}".rstrip() if v is not None else "n/a" for v in (d.before, d.after)]
        spread = f"{d.low:+.3g} … {d.high:+.3g}" if d.low is not None and d.high is not None else ""
        verdict = f"{d.verdict}: {d.why}" if d.why else d.verdict
        table.add_row(*map(Text, [d.cell, d.result, d.metric, *values, spread, verdict]))
    print_wide(table)


def cli() -> None:
    """The console script."""
    run_cli(main)


if __name__ == "__main__":
    cli()
