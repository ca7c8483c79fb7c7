"""``python -m engines.trt check``: which backbones TensorRT supports; no GPU needed."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from export.command import add_checks, console, listed, new_parser
from export.errors import UserError

if TYPE_CHECKING:
    from engines.trt.check import Row

TARGETS = "7.5,8.0,8.6,8.9,12.0"
EXAMPLES = """\
examples:
  python -m engines.trt check --models all --precisions fp32,fp16,int8 --markdown docs/tensorrt-preflight.md
  python -m engines.trt check --models vit_s,resnet50 --targets 8.6

Needs no GPU. Finished checks are kept: the same command does only what is missing.
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = new_parser("engines.trt", "Check TensorRT support without a GPU.")
    commands = p.add_subparsers(dest="command", required=True, metavar="COMMAND")
    c = commands.add_parser(
        "check",
        help="which architectures parse and build, in which precision, for which GPUs",
        description="Which architectures parse and build, in which precision, for which GPUs. Weights are random.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_checks(c, "fp32,fp16,int8")
    c.add_argument("--targets", default=TARGETS, metavar="CAPABILITIES", help=f"compute capabilities ({TARGETS})")
    c.add_argument("--flavour", default="trt-rtx", metavar="NAME", help="only trt-rtx builds without a GPU (trt-rtx)")
    c.add_argument(
        "--memory-gib", type=float, metavar="GIB", help="memory limit of one check (90 %% of this machine's memory)"
    )
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Check what the command line names; 1 if something builds for no target."""
    args = parser().parse_args(argv)
    import psutil

    from engines.architectures import architectures
    from engines.trt.builder import Request
    from engines.trt.check import Conditions, check
    from engines.trt.check_table import markdown
    from engines.trt.flavour import RTX, TENSORRT
    from export.errors import unknown
    from export.lower.precision import precision_of
    from export.store import Store, write_atomic

    flavours = {flavour.engine: flavour for flavour in (RTX, TENSORRT)}
    if args.flavour not in flavours:
        raise unknown("flavour", args.flavour, flavours)
    flavour = flavours[args.flavour]
    if not flavour.targetable:
        raise UserError(f"{flavour.title} builds only for the GPU of this machine.", "", "--flavour trt-rtx")
    flavour.load()
    targets = Request(targets=listed(args.targets)).resolved(flavour)
    precisions = [precision_of(name) for name in listed(args.precisions)]
    asked = architectures(args.models)
    memory = args.memory_gib * 2**30 if args.memory_gib else psutil.virtual_memory().total * 0.9
    shared = Conditions(flavour, targets, Store(args.store), args.limit, int(memory))
    start = time.monotonic()
    rows: list[Row] = []
    known = 0
    interrupted = False
    try:
        for row, was_known in check(asked, precisions, shared, args.fresh):
            rows.append(row)
            known += was_known
            if not was_known:
                print(f"  {_line(row)}", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        interrupted = True
    if args.json:
        print(json.dumps([row.as_json() for row in rows], indent=1))
    else:
        for row in rows:
            print(f"{row.architecture} {row.input} {row.precision}: {_line(row)}")
    if args.markdown and rows:
        command = f"python -m engines.trt check --models {args.models} --precisions {args.precisions}"
        head = [
            f"Made by `{command} --targets {','.join(targets)}` with {flavour.title} {flavour.installed()} on "
            f"{time.strftime('%Y-%m-%d')}. No GPU was used: the table says what parses and builds, not what runs "
            "or how fast.",
            "Random weights; batch size 1; the input is uint8 pixels, normalised inside the plan.",
        ]
        write_atomic(args.markdown, markdown(rows, head).encode())
    minutes = (time.monotonic() - start) / 60
    total = len(asked) * len(precisions)
    print(f"{len(rows)} of {total} checks, {known} of them from earlier runs, {minutes:.1f} min", file=sys.stderr)
    if interrupted:
        raise KeyboardInterrupt
    return 1 if any(row.status == "failed" for row in rows) else 0


def _line(row: Row) -> str:
    why = "; ".join(dict.fromkeys(row.failures.values()))
    built = f"builds for {', '.join(row.targets)}, {row.seconds:.1f} s, {row.plan_mib:.0f} MiB" if row.targets else ""
    return ". ".join(part for part in ("failed" if row.status == "failed" else "", built, why) if part)


cli = console(main)

if __name__ == "__main__":
    cli()
