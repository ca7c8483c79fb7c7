"""``bob pick``: the cell to ship: the cheapest that is not significantly less accurate than the best.

Reads a ranking; measures nothing. The first line says what to ship; then why, which limit is binding, what a dearer
cell would gain, and how the pick moves with the budget.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from bench.verdict.choose import add_limits, add_options, add_prices, add_results, limits_of, ranked
from export.command import console, new_parser


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = new_parser(
        "bob pick", "Suggest the cell to ship: the cheapest that is not significantly less accurate than the best."
    )
    add_results(p)
    add_options(p)
    add_limits(p)
    add_prices(p)
    p.add_argument("--json", action="store_true", help="the pick as JSON, with all steps and budgets")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Pick and say so; 0 when done."""
    args = parser().parse_args(argv)
    from bench.verdict.budget import document, explained
    from bench.verdict.files import as_json
    from bench.verdict.picking import pick

    ranking = ranked(args)
    found = pick(ranking, args.cost or "", limits_of(args))
    print(as_json(document(ranking, found)) if args.json else explained(ranking, found))
    return 0


cli = console(main)

if __name__ == "__main__":
    cli()
