"""``bob sensors``: the sensors of energy, whether this machine has them, and what would enable the others."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from export.command import console, new_parser, print_table


def rows() -> list[dict[str, Any]]:
    """One row a sensor: sensor, ok, domain, kind, beside (recorded and not added), reason, remedy."""
    from bench.measure.energy.here import look
    from bench.measure.energy.sensor import Missing

    found = []
    for one in look().found:
        row: dict[str, Any] = {"sensor": one.sensor if isinstance(one, Missing) else one.name}
        if isinstance(one, Missing):
            row |= {"ok": False, "domain": "", "kind": "", "beside": [], "reason": one.reason, "remedy": one.remedy}
        else:
            beside = sorted({zone.domain for zone in one.zones} - set(one.counted))
            kind = "counter of energy" if one.counter else "power, integrated over time"
            row |= {"ok": True, "domain": one.domain, "kind": kind, "beside": beside, "reason": "", "remedy": ""}
        found.append(row)
    return found


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = new_parser(
        "bob sensors", "The sensors of energy: whether this machine has them, and what would enable the others."
    )
    p.add_argument("--json", action="store_true", help="print the table as JSON")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; exit code 0, also where there is no sensor."""
    asked = parser().parse_args(argv)
    found = rows()
    if asked.json:
        print(json.dumps(found, indent=1))
        return 0
    heads = ("sensor", "read here", "energy of", "kind", "what would enable it")
    print_table(heads, [_line(row) for row in found], [not row["ok"] for row in found])
    return 0


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    missing = row["reason"] + (f"\nTry: {row['remedy']}" if row["remedy"] else "")
    domain = row["domain"] + (f"; beside it {', '.join(row['beside'])}" if row["beside"] else "")
    return row["sensor"], ("no", "yes")[row["ok"]], domain, row["kind"], missing


cli = console(main)

if __name__ == "__main__":
    cli()
