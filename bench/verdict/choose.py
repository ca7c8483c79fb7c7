"""Which records and how they are ranked: the options that all commands on results share, and what they give.

Loads nothing heavy: every command's help passes here.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from export.errors import UserError

if TYPE_CHECKING:
    from bench.records.results import Results
    from bench.verdict.money import Load, Price
    from bench.verdict.picking import Limit
    from bench.verdict.ranking import Ranking
    from bench.verdict.sheet import Sheet


RESULTS = Path("results")
"""The results folder where none is given."""


def add_results(p: argparse.ArgumentParser) -> None:
    """Which records: shared by every command that reads results."""
    p.add_argument("results", type=Path, nargs="?", default=RESULTS, help="results folder (results)")
    p.add_argument(
        "--published", action="store_true", help="the records that come with the project, instead of a folder"
    )
    add_choice(p)


def add_choice(p: argparse.ArgumentParser) -> None:
    """What may stand in one table, where a folder holds more."""
    p.add_argument("--machine", metavar="ID", help="timings of this machine only: its id, processor or board")
    p.add_argument("--data", action="append", default=[], metavar="NAME", help="only this data set; repeatable")
    p.add_argument("--protocol", action="append", default=[], metavar="HASH", help="only this protocol; repeatable")


def add_options(p: argparse.ArgumentParser) -> None:
    """How to rank: shared likewise."""
    p.add_argument("--cost", metavar="COLUMN", help="cost column for the Pareto front (latency_p50_ms)")
    p.add_argument("--setting", action="append", default=[], metavar="NAME", help="rank by this one only; repeatable")
    p.add_argument("--ddof", type=int, choices=(0, 1), default=0, help="standard deviation over n − ddof (0)")
    p.add_argument("--missing", choices=("exclude", "average"), default="exclude", help="rows that lack a setting")


def add_prices(p: argparse.ArgumentParser) -> None:
    """What machines cost: shared by what decides."""
    p.add_argument(
        "--price",
        action="append",
        default=[],
        metavar="PRICE",
        help="what a machine costs: 0.526/h, '80 EUR/month'; or a YAML file with machine, price, date and source",
    )
    p.add_argument("--load", metavar="RATE", help="the images to be served: 500/s, 2e9/month; gives replicas")


def add_limits(p: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """The budget: shared by what picks a cell."""
    p.add_argument(
        "--max",
        action="append",
        default=[],
        metavar="COLUMN=VALUE",
        help="upper limit on a cost: latency_p50_ms=20; repeatable",
    )
    p.add_argument(
        "--min",
        action="append",
        default=[],
        metavar="COLUMN=VALUE",
        help="lower limit on a rate: throughput_images_per_s=100; repeatable",
    )


def limits_of(args: argparse.Namespace) -> list[Limit]:
    """The budget that the arguments of :func:`add_limits` give.

    Raises:
        UserError: a limit that is none.
    """
    from bench.verdict.picking import Limit

    return [Limit.parse(text) for text in args.max] + [Limit.parse(text, least=True) for text in args.min]


def load(args: argparse.Namespace) -> Results:
    """The records that the arguments of :func:`add_results` choose."""
    from bench.records.results import PUBLISHED, Results

    if args.published and not PUBLISHED.is_file():
        raise UserError("This version comes without published records.", f"There is no {PUBLISHED.name}.")
    return Results.load(PUBLISHED if args.published else args.results).choose(args.machine, args.data, args.protocol)


def prices_of(args: argparse.Namespace) -> tuple[tuple[Price, ...], Load | None]:
    """The prices and the load that the arguments of :func:`add_prices` give; none of commands without them.

    Raises:
        UserError: one of them is none.
    """
    from bench.verdict.money import Load, read_prices

    load = getattr(args, "load", None)
    return read_prices(getattr(args, "price", ())), Load.parse(load) if load else None


def priced_sheet(args: argparse.Namespace, results: Results, by_machine: bool = False) -> Sheet:
    """The sheet of records, with columns of money where the arguments give a price or a load."""
    from bench.verdict.price import priced
    from bench.verdict.table import rows, sheet

    prices, load = prices_of(args)
    found, notes = rows(results, by_machine)
    made = sheet(found, notes)
    return priced(made, found, prices, load) if prices or load else made


def ranking_of(results: Results) -> Ranking:
    """Rank records with the default options."""
    from bench.verdict.ranking import Ranking
    from bench.verdict.table import sheet_of

    return Ranking(sheet_of(results))


def ranked(args: argparse.Namespace, results: Results | None = None, by_machine: bool = False) -> Ranking:
    """Rank what the arguments ask for; ``results`` where they are loaded already.

    Args:
        by_machine: several machines may stand in the table.
    """
    from bench.verdict.ranking import Options, Ranking
    from bench.verdict.sheet import sheet_from_csv

    if getattr(args, "table", None):
        if args.price or args.load:
            raise UserError("--price and --load are for records.", "A table from elsewhere has no rates of machines.")
        sheet = sheet_from_csv(args.table, args.cost or "", args.lower, args.ignore)
    else:
        sheet = priced_sheet(args, results or load(args), by_machine)
    if args.setting:
        sheet = sheet.only(args.setting)
    return Ranking(sheet, Options(args.ddof, args.missing))
