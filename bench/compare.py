"""``bob compare BEFORE AFTER``: two results folders, cell by cell: better, worse, or not significantly different."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.verdict.choose import add_choice
from export.command import console, new_parser
from export.errors import UserError

if TYPE_CHECKING:
    from bench.verdict.comparison import Difference
    from bench.verdict.row import Row


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = new_parser(
        "bob compare", "Compare two results folders: each result is better, worse, or not significantly different."
    )
    p.add_argument("before", type=Path, help="results folder")
    p.add_argument("after", type=Path, help="results folder")
    add_choice(p)
    p.add_argument(
        "--price",
        action="append",
        default=[],
        metavar="PRICE",
        help="what a machine costs, for the break-even: once for both folders, or twice, before and after; as bob rank",
    )
    p.add_argument("--json", action="store_true")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Compare and print; 0 when done, whatever the verdicts."""
    args = parser().parse_args(argv)
    from bench.records.results import Results
    from bench.verdict.comparison import compare
    from bench.verdict.files import as_json
    from bench.verdict.lines import wrapped
    from bench.verdict.table import rows

    sides = [
        rows(Results.load(folder).choose(args.machine, args.data, args.protocol))[0]
        for folder in (args.before, args.after)
    ]
    found = compare(*sides)
    if not found:
        raise UserError(
            "The two folders share no result.",
            "One is shared by its cell (backbone, engine, precision, preprocessing, batches) and by its task and data "
            "set, or its scenario.",
        )
    even = _break_even(sides, args.price) if args.price else []
    if args.json:
        print(as_json({"results": found, "break_even": even}))
    else:
        print_table(found)
        for one in even:
            print("\n".join(wrapped(one["sentence"])))
    return 0


def _break_even(sides: Sequence[Sequence[Row]], texts: Sequence[str]) -> list[dict[str, Any]]:
    """The break-even of each cell that has a rate within the bound on both sides, as JSON values.

    Raises:
        UserError: more than two prices, one that is none, or no rate to put them on.
    """
    from bench.verdict.break_even import between
    from bench.verdict.money import read_prices

    if len(texts) > 2:
        raise UserError(f"There are {len(texts)} prices and two folders.", "", "--price 0.05/h --price 0.526/h")
    prices = [read_prices([texts[0]]), read_prices([texts[-1]])]
    return between(sides[0], sides[1], prices[0], prices[1])


def print_table(found: Sequence[Difference]) -> None:
    """Print one line a result."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from bench.verdict.digits import number
    from bench.verdict.show import print_wide

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


cli = console(main)

if __name__ == "__main__":
    cli()
