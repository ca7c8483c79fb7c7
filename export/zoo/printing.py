"""What ``bob export --inspect FILE`` and ``bob export --list --study`` print."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from export.command import print_table
from export.places import expanded
from export.store import Store

if TYPE_CHECKING:
    from export.zoo.inspection import Fit, Inspection

LINES = 60
"""Of a checkpoint's tensors, folded; ``--json`` has them all."""
SHOWN = 6
"""Names, or networks, in one list."""


def inspect(file: Path, store: Path | None, zoo: Sequence[Path], as_json: bool) -> None:
    """Print a checkpoint's tensors, what it holds beside them, and the rows of the zoo that it fits."""
    from export.zoo.inspection import inspected

    path = expanded(file)
    found = inspected(path, Store(store), zoo)
    if as_json:
        print(json.dumps(found.as_json(), indent=1))
        return
    kept = found.folded[:LINES]
    print_table(
        ("tensor", "shape", "type", ">count"),
        [(f.name, "x".join(map(str, f.shape)) or "a number", f.dtype, str(f.count)) for f in kept],
    )
    if more := found.folded[LINES:]:
        print(f"… and {sum(f.count for f in more)} tensors more: --json")
    print()
    print(
        f"{found.file} is {found.kind} with {len(found.tensors)} tensors, {found.numbers / 1e6:.2f} M numbers, "
        f"{found.size / 2**20:.1f} MiB."
    )
    if found.others:
        print(f"Beside the tensors it holds {_few(found.others)}.")
    print()
    _print_fits(found, file)


def _print_fits(found: Inspection, given: Path) -> None:
    if not found.fits:
        print("No row of the zoo fits it." + (" The closest:" if found.closest else ""))
        for fit in found.closest:
            print(f"  {fit.network} ({_few(fit.rows)})\n    {fit.why}")
        return
    heads = ("row of the zoo", "network", ">tensors used", ">numbers used %", "dropped")
    print_table(heads, [_line(fit, found.numbers) for fit in found.fits])
    best = found.fits[0]
    print(f"\n{best.rows[0]}:")
    for note in best.notes:
        print(f"- {note}")
    print(f"\nbob export {best.rows[0]} --weights {shlex.quote(str(given))}")


def _line(fit: Fit, numbers: int) -> tuple[str, ...]:
    share = f"{100 * fit.numbers / max(1, numbers):.1f}"
    dropped = f"{len(fit.left_out)}: {_few(_heads(fit.left_out), 4)}" if fit.left_out else "none"
    return _few(fit.rows), fit.network, str(fit.used), share, dropped


def _heads(names: Sequence[str]) -> list[str]:
    """The beginnings of names, as long as they are few."""
    best: list[str] = []
    for depth in range(1, 6):
        found = list(dict.fromkeys(".".join(name.split(".")[:depth]) for name in names))
        if best and len(found) > SHOWN:
            break
        best = found
    return best


def _few(names: Sequence[str], most: int = SHOWN) -> str:
    return f"{', '.join(names[:most])}{f' and {len(names) - most} more' if len(names) > most else ''}"


def list_study(store: Path | None, zoo: Sequence[Path], as_json: bool) -> None:
    """Print the rows of the study."""
    from export.zoo.study import HERE, rows

    found = rows(Store(store), zoo)
    if as_json:
        print(json.dumps([row.as_json() for row in found], indent=1))
        return
    heads = ("in the study", "row", "network", "read by", "licence", "weights from", "state")
    lines = [(r.study, r.row, r.network, r.loader, r.licence, _place(r.weights), r.state) for r in found]
    print_table(heads, lines)
    here = sum(row.state == HERE for row in found)
    print(
        f"{len(found)} rows, {here} with weights here. What needs a hub or a URL is fetched when it is named; "
        "add @random to a name for random weights; --json has addresses and notes.",
        file=sys.stderr,
    )


def _place(weights: str) -> str:
    """The model hub, or the server of an address."""
    return (
        urlsplit(weights.removeprefix("URL ")).netloc if weights.startswith("URL ") else weights.partition(" timm/")[0]
    )
