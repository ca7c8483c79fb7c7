"""``python -m engines.preprocess``: the kernel's device code for named GPUs, and what it takes of them, without one."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict

from export.command import add_store, console, listed, new_parser

CAPABILITIES = "7.5,8.0,8.6,8.7,8.9,9.0,10.0,11.0,12.0"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = new_parser(
        "engines.preprocess",
        "Compile the preprocessing kernel for GPUs that need not be here, and show what it takes of them.",
    )
    p.add_argument(
        "--capabilities", default=CAPABILITIES, metavar="LIST", help=f"compute capabilities ({CAPABILITIES})"
    )
    add_store(p)
    p.add_argument("--json", action="store_true", help="print the rows as JSON")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Compile, and print the table."""
    args = parser().parse_args(argv)
    from engines.preprocess.device import program_for
    from export.store import Store

    store = Store(args.store)
    programs = [program_for(name, store) for name in listed(args.capabilities)]
    rows = [
        {"capability": made.capability, "kernel": kernel, **asdict(found), "cubin_bytes": len(made.cubin)}
        for made in programs
        for kernel, found in sorted(made.resources.items())
    ]
    if args.json:
        print(json.dumps(rows, indent=1))
        return 0
    print("| capability | kernel | registers | shared bytes | spilled bytes |\n|---|---|---|---|---|")
    for row in rows:
        print("| {capability} | `{kernel}` | {registers} | {shared_bytes} | {spilled_bytes} |".format(**row))
    return 0


cli = console(main)

if __name__ == "__main__":
    cli()
