"""``bob rank``: a results folder, or any table, in an order that says which differences are significant.

Reads records only; runs nothing. Libraries that draw or write tables load when they are used.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from bench.verdict.choose import RESULTS, add_options, add_prices, add_results, ranked
from export.command import console, new_parser
from export.errors import UserError

EXAMPLES = """\
examples:
  bob rank                                    the records in ./results
  bob rank --published                        the records that come with the project
  bob rank --cost throughput_images_per_s     the Pareto front against throughput
  bob rank --price 0.526/h --load 500/s       cost per million images and machines needed, at the bound on latency
  bob rank --markdown ranks.md                the same table for a page
  bob rank --table figures.csv                any published table: rows are backbones, columns settings
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = new_parser(
        "bob rank",
        "Rank cells by the mean of their z-scores over settings, with errors, beside what they cost.",
        EXAMPLES,
    )
    add_results(p)
    add_options(p)
    add_prices(p)
    p.add_argument("--table", type=Path, metavar="FILE", help="a CSV table to rank instead of records")
    p.add_argument("--lower", action="append", default=[], metavar="COLUMN", help="with --table: lower is better")
    p.add_argument("--ignore", action="append", default=[], metavar="COLUMN", help="with --table: leave it out")
    p.add_argument("--by", default="z", metavar="COLUMN", help="order by z, mean_rank, borda, a setting or a cost (z)")
    p.add_argument("--all", action="store_true", help="print every row, column and note, not what decides alone")
    p.add_argument("--csv", type=Path, metavar="FILE", help="write all columns as CSV")
    p.add_argument(
        "--markdown", nargs="?", const="-", metavar="FILE", help="the table as Markdown, to standard output or a file"
    )
    p.add_argument("--parquet", type=Path, metavar="FILE", help="write all columns as Parquet (extra: parquet)")
    p.add_argument(
        "--json", nargs="?", const="-", metavar="FILE", help="all columns as JSON, to standard output or a file"
    )
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Rank, print, write; 0 when done."""
    args = parser().parse_args(argv)
    if (args.lower or args.ignore) and not args.table:
        raise UserError("--lower and --ignore are for --table.", "Records state the direction of each metric.")
    from bench.verdict.files import as_json, write, write_csv, write_parquet
    from bench.verdict.show import markdown, print_ranking

    ranking = ranked(args, by_machine=True)
    again = _again(args)
    cost = args.cost or ranking.default_cost()
    rows = ranking.as_rows(cost, args.by)
    if args.csv:
        write_csv(rows, args.csv)
    if args.parquet:
        write_parquet(rows, args.parquet)
    if args.json:
        text = as_json({"rows": rows, "cost": cost or None, "by": args.by, "foot": ranking.foot(cost)})
        if args.json == "-":
            print(text)
            return 0
        write(Path(args.json), text + "\n")
    if args.markdown:
        text = markdown(ranking, cost, args.by, args.all, again)
        if args.markdown == "-":
            print(text)
            return 0
        write(Path(args.markdown), text + "\n")
    print_ranking(ranking, cost, args.by, everything=args.all, again=again)
    return 0


def _again(args: argparse.Namespace) -> str:
    """The command that shows everything of the same ranking."""
    words = ["bob", "rank", *([str(args.results)] if args.results != RESULTS else [])]
    words += ["--published"] if args.published else []
    for name in ("table", "machine", "data", "protocol", "setting", "cost", "price", "load", "lower", "ignore"):
        given = getattr(args, name)
        for value in given if isinstance(given, list) else [given]:
            words += [f"--{name}", str(value)] if value else []
    return shlex.join([*words, "--all"])


cli = console(main)

if __name__ == "__main__":
    cli()
