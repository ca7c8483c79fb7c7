"""``python -m bench.figures`` (``make bench-self``): the overhead of this harness, as ratios measured side by side.

Each figure interleaves its two sides, repeats them, and prints medians with their spread. It is a report, never a
test: a noisy neighbour may spoil a ratio, and the reader can see it in the spread.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from bench.figures.figure import Figure
from export.command import add_store, console, new_parser
from export.registry import Registry
from export.store import Store

FIGURES: Registry[Callable[[Store, Path], Iterator[Figure]]] = Registry(
    "figure",
    {
        "harness": "bench.figures.harness:figures",
        "loadgen": "bench.figures.loadgen:figures",
        "server": "bench.figures.server:figures",
        "extraction": "bench.figures.extraction:figures",
        "corruption": "bench.figures.corruption:figures",
        "preprocessing": "bench.figures.preprocessing:figures",
        "probe": "bench.figures.probe_sweep:figures",
        "neighbours": "bench.figures.knn_speed:figures",
        "scoring": "bench.figures.scoring:figures",
        "start": "bench.figures.start:figures",
        "child": "bench.figures.child:figures",
        "bootstrap": "bench.figures.bootstrap_speed:figures",
        "top1": "bench.figures.top1:figures",
        "precision": "bench.figures.precision:figures",
        "joint": "bench.figures.joint:figures",
        "page": "bench.figures.page:figures",
        "cluster": "bench.figures.cluster:figures",
    },
    listing="python -m bench.figures --help",
)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = new_parser("bench.figures", (__doc__ or "").splitlines()[0])
    p.add_argument("names", nargs="*", metavar="NAME", help=f"figures to measure: {', '.join(FIGURES)} (all)")
    add_store(p)
    p.add_argument(
        "--shared",
        type=Path,
        default=Path("../shared"),
        help="folder with data/imagenet1k.tar (for top1) and data/cifar10.tar.gz (for probe and neighbours); optional",
    )
    p.add_argument("--json", action="store_true", help="print the figures as JSON")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Measure the named figures, or all; 0 where all were reached.

    Raises:
        UserError: there is no figure of a name.
    """
    args = parser().parse_args(argv)
    wanted = [FIGURES.get(name) for name in args.names or FIGURES]
    store = Store(args.store)
    found = []
    for measure in wanted:
        for one in measure(store, args.shared):
            found.append(one)
            print(f"{one.line}\n    {one.how}", file=sys.stderr if args.json else sys.stdout, flush=True)
    if args.json:
        print(json.dumps([asdict(f) for f in found], indent=1))
    return 0 if all(f.reached for f in found) else 1


cli = console(main)

if __name__ == "__main__":
    cli()
