"""``bob engines``: every engine and provider, whether it runs on this machine, and what would enable it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from export.command import console, new_parser, print_table


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


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = new_parser(
        "bob engines", "Every engine and provider: whether it runs on this machine, and what would enable it."
    )
    p.add_argument("--json", action="store_true", help="print the table as JSON")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; exit code 0, also where engines are missing."""
    asked = parser().parse_args(argv)
    found = rows()
    if asked.json:
        print(json.dumps(found, indent=1))
        return 0
    heads = ("engine", "runs here", "version", "device", "precisions", "what would enable it")
    print_table(heads, [_line(row) for row in found], [not row["ok"] for row in found])
    return 0


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    missing = row["reason"] + (f"\nTry: {row['remedy']}" if row["remedy"] else "")
    here = ("no", "yes")[row["ok"]]
    return row["engine"], here, row["version"], row["device"], " ".join(row["precisions"]), "" if row["ok"] else missing


cli = console(main)

if __name__ == "__main__":
    cli()
