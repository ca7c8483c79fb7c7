"""``python -m bench.correlations``: is a backbone that is good at one task good at another, and does size help?"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict

from bench.verdict.choose import add_results, load
from export.errors import run_cli

EXAMPLES = """\
examples:
  python -m bench.correlations                                   the records in ./results
  python -m bench.correlations --engine ort:cpu --precision int8
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m bench.correlations",
        description="Rank correlations between tasks, and of tasks with size, over backbones.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_results(p)
    p.add_argument("--engine", metavar="NAME", help="name:provider; by default the one with the most backbones")
    p.add_argument("--precision", default="fp32", metavar="NAME", help="of the cell that stands for a backbone (fp32)")
    p.add_argument("--json", action="store_true")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Correlate and print; 0 when done."""
    args = parser().parse_args(argv)
    from bench.verdict.correlations import choose, correlations, markdown
    from bench.verdict.table import sheet_of

    sheet = sheet_of(load(args))
    choice = choose(sheet, args.engine, args.precision)
    found = correlations(sheet, choice.rows)
    if args.json:
        backbones = [sheet.labels[row]["backbone"] for row in choice.rows]
        about = {"engine": choice.engine, "precision": choice.precision, "backbones": backbones}
        print(json.dumps({**about, "correlations": [asdict(c) for c in found]}, indent=1, ensure_ascii=False))
    else:
        print(markdown(found, choice))
    return 0


def cli() -> None:
    """The console script."""
    run_cli(main)


if __name__ == "__main__":
    cli()
