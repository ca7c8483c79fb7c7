"""``bob pick``: the cell to ship: the cheapest that is not significantly less accurate than the best.

Reads a ranking; measures nothing. It answers in two or three sentences.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from bench.verdict.choose import add_options, add_results, ranked
from export.command import console, new_parser


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = new_parser(
        "bob pick", "Suggest the cell to ship: the cheapest that is not significantly less accurate than the best."
    )
    add_results(p)
    add_options(p)
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
    p.add_argument("--json", action="store_true", help="the pick as JSON")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Pick and say so; 0 when done."""
    args = parser().parse_args(argv)
    from bench.verdict.files import as_json
    from bench.verdict.picking import Limit, document, pick, spoken

    limits = [Limit.parse(text) for text in args.max] + [Limit.parse(text, least=True) for text in args.min]
    ranking = ranked(args)
    found = pick(ranking, args.cost or "", limits)
    print(as_json(document(ranking, found)) if args.json else spoken(ranking, found))
    return 0


cli = console(main)

if __name__ == "__main__":
    cli()
