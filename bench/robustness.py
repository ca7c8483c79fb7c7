"""``bob robustness``: the accuracy that each cell loses under distribution shift."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from bench.verdict.choose import add_results, load
from export.command import console, new_parser


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = new_parser(
        "bob robustness",
        "Accuracy lost under distribution shift, by cell (records of bob run --shifted or --corruptions).",
    )
    add_results(p)
    p.add_argument("--json", action="store_true", help="print the drops as JSON")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Print the drops; 0 when done."""
    args = parser().parse_args(argv)
    from bench.verdict.files import as_json
    from bench.verdict.robustness import drops, markdown
    from bench.verdict.table import rows

    found = drops(rows(load(args))[0])
    print(as_json(found) if args.json else markdown(found))
    return 0


cli = console(main)

if __name__ == "__main__":
    cli()
