"""``bob correlations``: does rank on one task predict rank on another, and does size?"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from bench.verdict.choose import add_results, load
from export.command import console, new_parser

EXAMPLES = """\
examples:
  bob correlations                                   the records in ./results
  bob correlations --engine ort:cpu --precision int8
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = new_parser(
        "bob correlations",
        "Rank correlations over backbones: between tasks, and of tasks with size and latency.",
        EXAMPLES,
    )
    add_results(p)
    p.add_argument("--engine", metavar="NAME", help="name:provider (the engine with the most backbones)")
    p.add_argument("--precision", default="fp32", metavar="NAME", help="precision of the cells to compare (fp32)")
    p.add_argument("--json", action="store_true", help="print the correlations as JSON")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Correlate and print; 0 when done."""
    args = parser().parse_args(argv)
    from bench.verdict.correlations import choose, correlations, markdown
    from bench.verdict.files import as_json
    from bench.verdict.table import sheet_of

    sheet = sheet_of(load(args))
    choice = choose(sheet, args.engine, args.precision)
    found = correlations(sheet, choice.rows)
    if args.json:
        backbones = [sheet.labels[row]["backbone"] for row in choice.rows]
        about = {"engine": choice.engine, "precision": choice.precision, "backbones": backbones}
        print(as_json({**about, "correlations": found}))
    else:
        print(markdown(found, choice))
    return 0


cli = console(main)

if __name__ == "__main__":
    cli()
