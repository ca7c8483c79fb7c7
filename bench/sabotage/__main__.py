"""``python -m bench.sabotage`` (``make sabotage``): every known trap is injected, and has to be caught.

Each trap goes into the real parts: a small network, exported, compiled, scored and timed over drawn photographs. It is
caught where the harness refuses, flags the result, or gives the result that it would give without the trap. A trap
that would fool no naive harness either is an error.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.command import add_store, console, new_parser, print_table
from export.errors import UserError
from export.progress import say
from export.store import Store, write_atomic

if TYPE_CHECKING:
    from bench.sabotage.trap import Sprung


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = new_parser("bench.sabotage", (__doc__ or "").splitlines()[0])
    p.add_argument("names", nargs="*", metavar="NAME", help="traps to inject, by name or number (all)")
    p.add_argument("--list", action="store_true", help="list the traps, and stop")
    p.add_argument("--markdown", type=Path, metavar="FILE", help="also write the table as a page")
    p.add_argument("--json", action="store_true", help="print the answers as JSON")
    add_store(p)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Inject the named traps, or all; 0 where every one was caught, 1 where not.

    Raises:
        UserError: there is no trap of a name.
    """
    args = parser().parse_args(argv)
    from bench.sabotage.bed import Bed
    from bench.sabotage.catalog import named
    from bench.sabotage.page import page
    from bench.sabotage.trap import spring

    traps = named(args.names)
    if args.markdown and args.names:
        raise UserError("The page is of all traps.", f"{len(traps)} are named.", "--markdown without names")
    if args.list:
        print_table((">", "name", "trap"), [(str(t.number), t.name, t.title) for t in traps])
        return 0
    found: list[Sprung] = []
    with tempfile.TemporaryDirectory(prefix="backbones-") as folder:
        bed = Bed(Path(folder), Store(args.store))
        for number, trap in enumerate(traps, 1):
            sprung = spring(trap, bed)
            found.append(sprung)
            said = sprung.trouble or (sprung.answer.kind if sprung.answer else "")
            say(f"[{number}/{len(traps)}] {trap.number} {trap.title}: {said} ({sprung.seconds:.1f} s)")
    if args.json:
        print(json.dumps([_document(one) for one in found], indent=1))
    else:
        lines = [(str(s.trap.number), s.trap.title, s.trap.injected, *_answer(s)) for s in found]
        print_table((">", "trap", "injected", "answer", "what it said", "a naive harness"), lines)
    caught = sum(one.caught for one in found)
    print(f"{caught} of {len(found)} traps caught", file=sys.stderr if args.json else sys.stdout)
    if args.markdown:
        write_atomic(args.markdown, page(found).encode())
    return 0 if caught == len(found) else 1


def _answer(sprung: Sprung) -> tuple[str, str, str]:
    if sprung.answer is None or not sprung.caught:
        return "NOT CAUGHT", sprung.trouble, ""
    return sprung.answer.kind, sprung.answer.said, sprung.answer.bites


def _document(sprung: Sprung) -> dict[str, Any]:
    trap = {name: getattr(sprung.trap, name) for name in ("name", "number", "area", "title", "injected", "expected")}
    return {
        **trap,
        "caught": sprung.caught,
        "answer": asdict(sprung.answer) if sprung.answer else None,
        "trouble": sprung.trouble,
        "seconds": round(sprung.seconds, 1),
    }


cli = console(main)

if __name__ == "__main__":
    cli()
