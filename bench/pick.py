"""``python -m bench.pick``: the cell to ship: the cheapest whose accuracy cannot be told from the best.

Reads a ranking; measures nothing. It answers in one sentence and says on what the answer rests.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from bench.verdict.choose import add_options, add_results, ranked
from export.errors import run_cli


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m bench.pick",
        description="Suggest the cell to ship: the cheapest whose accuracy cannot be told from the best.",
    )
    add_results(p)
    add_options(p)
    p.add_argument("--max", action="append", default=[], metavar="COLUMN=VALUE", help="budget, for costs; repeatable")
    p.add_argument("--min", action="append", default=[], metavar="COLUMN=VALUE", help="floor, for rates; repeatable")
    p.add_argument("--json", action="store_true")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Pick and say so; 0 when done."""
    args = parser().parse_args(argv)
    from bench.verdict.picking import Limit, as_json, pick, sentence

    limits = [Limit.parse(text) for text in args.max] + [Limit.parse(text, least=True) for text in args.min]
    ranking = ranked(args)
    found = pick(ranking, args.cost or "", limits)
    if args.json:
        print(json.dumps(as_json(ranking, found), indent=1, ensure_ascii=False))
    else:
        print(sentence(ranking, found))
    return 0


def cli() -> None:
    """The console script."""
    run_cli(main)


if __name__ == "__main__":
    cli()
