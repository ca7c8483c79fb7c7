"""``python -m bench.robustness``: what a shift of the photographs costs each cell."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict

from bench.verdict.choose import add_results, load
from export.errors import run_cli


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m bench.robustness",
        description="What a shift of the photographs costs each cell (records of bench.run --shifted).",
    )
    add_results(p)
    p.add_argument("--json", action="store_true")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Tell the drops; 0 when done."""
    args = parser().parse_args(argv)
    from bench.verdict.robustness import drops
    from bench.verdict.table import rows

    found = drops(rows(load(args))[0])
    if args.json:
        print(json.dumps([asdict(drop) for drop in found], indent=1, ensure_ascii=False))
        return 0
    print("| task | shift | cell | without % | under % | drop, points | effective robustness, points |")
    print("|---|---|---|---|---|---|---|")
    for d in found:
        error = "" if d.stderr is None else f" ± {d.stderr:.1f}"
        effective = "n/a" if d.effective is None else f"{d.effective:+.1f}"
        print(
            f"| {d.task} | {d.shift} | {d.cell} | {d.without:.1f} | {d.under:.1f} | {d.drop:.1f}{error} | {effective} |"
        )
    return 0


def cli() -> None:
    """The console script."""
    run_cli(main)


if __name__ == "__main__":
    cli()
