"""``bob inversions``: where the order of backbones in eager fp32 is not the order as deployed."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from bench.verdict.choose import add_results, load
from export.command import console, new_parser


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = new_parser("bob inversions", "Pairs of backbones whose order as deployed differs from the order in eager fp32.")
    add_results(p)
    p.add_argument("--reference", metavar="ENGINE", help="name:provider of the reference (eager PyTorch)")
    p.add_argument("--json", action="store_true", help="print the result as JSON")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Compare and print; 0 when done, with or without inversions."""
    args = parser().parse_args(argv)
    from bench.verdict.files import as_json
    from bench.verdict.inversions import markdown, orders
    from bench.verdict.table import rows

    found = orders(rows(load(args))[0], args.reference)
    print(as_json(found) if args.json else markdown(found))
    return 0


cli = console(main)

if __name__ == "__main__":
    cli()
