"""``make zoo-check``: every network of the zoo, exported with random weights, and compared with PyTorch on engines."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from export.command import add_checks, console, listed, new_parser

if TYPE_CHECKING:
    from bench.zoo.check import Row

EXAMPLES = """\
examples:
  python -m bench.zoo_check --markdown docs/zoo.md      all of the zoo
  python -m bench.zoo_check --models vit_s,resnet50     networks that are named, in every precision

Weights are random. Of the zoo, fp32 is checked for every network, another precision for the smallest of each kind.
Finished checks are kept: the same command does only what is missing.
Exit code: 0 all passed, 1 something failed. What needs more than --memory-gib is listed, and is not tried.
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = new_parser(
        "bench.zoo_check",
        "Export every network of the zoo, and compare what engines compute with eager PyTorch.",
        EXAMPLES,
    )
    add_checks(p, "fp32,int8")
    p.add_argument("--engines", metavar="NAMES", help="engines, comma-separated (those of the demo)")
    p.add_argument("--memory-gib", type=float, default=8, metavar="GIB", help="memory limit of one process (8)")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Check what the command line names; 1 if something failed.

    Raises:
        UserError: an unknown name, or an engine that cannot run here.
    """
    args = parser().parse_args(argv)
    from bench.sweep.spec import read
    from bench.zoo.check import PHOTOGRAPHS, Conditions, check, sample
    from bench.zoo.page import markdown
    from engines.architectures import architectures
    from engines.catalog import engine
    from export.lower.precision import precision_of
    from export.spec import Precision
    from export.store import Store, write_atomic

    precisions = [precision_of(name) for name in listed(args.precisions)]
    engines = tuple(engine(name) for name in (listed(args.engines) if args.engines else read().engines))
    for one in engines:
        one.require("build")
    networks = architectures(args.models)
    fewer = sample(networks) if args.models == "all" else networks
    asked = [(one, p) for p in precisions for one in (networks if p is Precision.FP32 else fewer)]
    shared = Conditions(engines, Store(args.store), args.limit, int(args.memory_gib * 2**30))
    start, known, interrupted = time.monotonic(), 0, False
    rows: list[Row] = []
    try:
        for row, was_known in check(asked, shared, args.fresh):
            rows.append(row)
            known += was_known
            if not was_known and row.status != "too large":
                print(f"  {_line(row)}", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        interrupted = True
    if args.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
    else:
        for row in rows:
            print(f"{row.architecture} {row.input} {row.precision}: {_line(row)}")
    taken = sum(row.seconds for row in rows) / 60
    if args.markdown and rows:
        command = f"python -m bench.zoo_check --models {args.models} --precisions {args.precisions}"
        versions = ", ".join(f"{one.spec} {one.available('build').version}" for one in engines)
        head = [
            f"Made by `{command}` with {versions} on {time.strftime('%Y-%m-%d')}; all checks together took "
            f"{taken:.0f} minutes." + (f" {len(asked) - len(rows)} checks have not been run." if interrupted else ""),
            f"Weights are random. Each network is exported, and its outputs for {PHOTOGRAPHS} photographs are compared "
            "with eager PyTorch's: those of the exported file, and those of each engine. A lower precision is made "
            "for the smallest network of each kind, and compared with the fp32 file. A cell is the largest relative "
            "error.",
        ]
        write_atomic(args.markdown, markdown(rows, [str(one.spec) for one in engines], head).encode())
    print(
        f"{len(rows)} of {len(asked)} checks, {known} of them from earlier runs, "
        f"{(time.monotonic() - start) / 60:.1f} min; all of them together took {taken:.1f} min",
        file=sys.stderr,
    )
    if interrupted:
        raise KeyboardInterrupt
    return 1 if any(row.status in ("failed", "unavailable") for row in rows) else 0


def _line(row: Row) -> str:
    """How one network fared."""
    if row.status != "passed":
        return f"{row.status}: {row.why}"
    errors = ", ".join(f"{name} {found['relative_error']:.0e}" for name, found in row.parity.items())
    return f"passed ({errors}), {row.seconds:.0f} s, {row.peak_gib:.1f} GiB"


cli = console(main)

if __name__ == "__main__":
    cli()
