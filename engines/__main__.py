"""``python -m engines``: every engine and provider, whether it runs on this machine, and what would enable it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from export.errors import run_cli


def rows() -> list[dict[str, Any]]:
    """One row an engine and provider: name, ok, version, device, precisions, reason, remedy."""
    from engines.base import EngineSpec
    from engines.catalog import ENGINES, engine

    found = []
    for name in ENGINES:
        for provider in ENGINES.get(name).providers:
            plug_in = engine(EngineSpec(name, provider))
            here = plug_in.available()
            found.append(
                {
                    "engine": str(plug_in.spec),
                    "ok": here.ok,
                    "version": here.version,
                    "device": here.device,
                    "precisions": sorted(map(str, plug_in.precisions)),
                    "reason": here.reason,
                    "remedy": here.remedy,
                }
            )
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; exit code 0 whatever is missing."""
    parser = argparse.ArgumentParser(
        prog="python -m engines",
        description="Every engine and provider: whether it runs on this machine, and what would enable it.",
    )
    parser.add_argument("--json", action="store_true", help="the same as JSON on stdout")
    asked = parser.parse_args(argv)
    found = rows()
    if asked.json:
        print(json.dumps(found, indent=1))
        return 0
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("engine", "runs here", "version", "device", "precisions", "what would enable it"):
        table.add_column(column, no_wrap=column == "engine", overflow="fold")
    for row in found:
        missing = row["reason"] + (f"\nTry: {row['remedy']}" if row["remedy"] else "")
        table.add_row(
            row["engine"],
            "yes" if row["ok"] else "no",
            row["version"],
            row["device"],
            " ".join(row["precisions"]),
            "" if row["ok"] else missing,
            style="" if row["ok"] else "dim",
        )
    # a pipe has no width: a line is then as long as it needs to be
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 160, highlight=False, markup=False).print(table)
    return 0


def cli() -> None:
    """The installed command ``bob-engines``."""
    run_cli(main)


if __name__ == "__main__":
    cli()
