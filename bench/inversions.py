"""``python -m bench.inversions``: where the order of backbones in eager fp32 is not the order as deployed."""

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
        prog="python -m bench.inversions",
        description="Where the order of backbones in eager fp32 is not the order as deployed.",
    )
    add_results(p)
    p.add_argument("--reference", metavar="ENGINE", help="name:provider of the reference; by default the eager one")
    p.add_argument("--json", action="store_true")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Compare and print; 0 when done, whatever was found."""
    args = parser().parse_args(argv)
    from bench.verdict.inversions import orders
    from bench.verdict.table import rows

    found = orders(rows(load(args))[0], args.reference)
    if args.json:
        print(json.dumps([asdict(order) for order in found], indent=1, ensure_ascii=False))
        return 0
    print("| result | deployed | backbones | Kendall's tau | swapped | inverted beyond the intervals |")
    print("|---|---|---|---|---|---|")
    for order in found:
        pairs = "; ".join(f"{p.ahead} over {p.behind}: {p.before:+.1f} became {p.after:+.1f}" for p in order.inverted)
        tau = "n/a" if order.tau is None else f"{order.tau:.2f}"
        print(
            f"| {order.result} | {order.deployed} | {order.backbones} | {tau} | {order.swapped} | {pairs or 'none'} |"
        )
    return 0


def cli() -> None:
    """The console script."""
    run_cli(main)


if __name__ == "__main__":
    cli()
