"""``bob report``: write the report of a results folder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from bench import report
from bench.verdict.choose import add_prices, add_results, load, prices_of
from export.command import console, new_parser


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = new_parser(
        "bob report",
        "Write one self-contained HTML page: the front, the table, the environment, how it was measured.",
    )
    add_results(p)
    add_prices(p)
    p.add_argument("--cost", default="", metavar="COLUMN", help="cost that the plot opens with (latency_p50_ms)")
    p.add_argument(
        "--no-photographs",
        action="store_true",
        help="leave out thumbnails of test photographs, and photographs with predictions drawn on them",
    )
    p.add_argument("--out", type=Path, metavar="FILE", help="where to write it (report.html in the results folder)")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Write the page and print its path; 0 when done."""
    args = parser().parse_args(argv)
    target = args.out or (Path("published.html") if args.published else args.results / "report.html")
    shown = not args.no_photographs
    print(report.write(load(args), target, args.cost, shown, *prices_of(args)))
    return 0


cli = console(main)

if __name__ == "__main__":
    cli()
