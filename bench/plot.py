"""``bob plot``: accuracy against cost as SVG, light and dark, from the same ranking as the table."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from bench.verdict.choose import add_options, add_results, load, ranked
from export.command import console, new_parser
from export.errors import UserError

EXAMPLES = """\
examples:
  bob plot                                    the records in ./results
  bob plot --published --out pictures         the records that come with the project
  bob plot --setting linear_probe@elpv        one task's score in place of the mean z-score
  bob plot --kind tasks                       each backbone's score at each task
  bob plot --cost gmacs                       input sizes and depths of one backbone are joined by a line
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = new_parser(
        "bob plot",
        "Draw accuracy against cost, with errors and the Pareto front: two SVG files, for light and dark pages.",
        EXAMPLES,
    )
    add_results(p)
    add_options(p)
    p.add_argument("--kind", choices=("front", "tasks"), default="front", help="accuracy against cost, or each task")
    p.add_argument("--out", type=Path, metavar="DIR", help="where to write KIND-light.svg, KIND-dark.svg (the results)")
    p.add_argument("--png", action="store_true", help="PNG files instead")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Draw, write, and print the files' paths; 0 when done."""
    args = parser().parse_args(argv)
    from bench.report.canvas import THEMES
    from bench.report.dots import dots
    from bench.report.front import front
    from bench.report.notes import machine
    from bench.verdict.files import write

    results = load(args)
    ranking = ranked(args, results)
    cost = args.cost or ranking.default_cost()
    if not cost and args.kind == "front":
        raise UserError("There is no cost to draw accuracy against.", "Nothing was timed.", "bob plot --kind tasks")
    kind, folder = "png" if args.png else "svg", args.out or (Path() if args.published else args.results)
    where = machine(results.records)
    for theme in THEMES:
        content = front(ranking, cost, theme, kind, where) if args.kind == "front" else dots(ranking, theme, kind)
        path = folder / f"{args.kind}-{theme}.{kind}"
        write(path, content)
        print(path)
    return 0


cli = console(main)

if __name__ == "__main__":
    cli()
