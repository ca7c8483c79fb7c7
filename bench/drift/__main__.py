"""``python -m bench.drift`` (``make drift``): what an update of an engine's library changes in outputs, scores, time.

The cells run under two versions of their engine's library, each in an environment of its own, on the same files and
pixels. By default small backbones with trained weights on the demo's photographs, an earlier version and the newest.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from bench.sweep.options import add
from bench.sweep.spec import declared
from export.command import add_store, console, new_parser, print_table

FIELDS = (
    *("models", "engines", "data", "tasks", "scenarios", "precisions", "size", "weights", "zoo", "batches", "threads"),
    *("limit", "seed", "seconds", "repeats"),
)
DEFAULTS = Path(__file__).with_name("drift.yaml")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = new_parser("bench.drift", (__doc__ or "").splitlines()[0])
    what = p.add_argument_group("versions")
    for option, default in (("before", DEFAULTS.name), ("after", "the newest")):
        what.add_argument(
            f"--{option}",
            action="append",
            default=[],
            metavar="LIBRARY=VERSION",
            help=f"the version {option} the update ({default}); repeatable",
        )
    add(p.add_argument_group("what to run"), *FIELDS, default="as in drift.yaml")
    p.add_argument("--markdown", type=Path, metavar="FILE", help="also write the tables as a page")
    p.add_argument("--json", action="store_true", help="print what changed as JSON")
    add_store(p)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Compare the versions; 0 when done, whatever changed.

    Raises:
        UserError: an engine without a library of its own, or a version that does not exist.
    """
    args = parser().parse_args(argv)
    from bench.drift.page import HEADS, document, lines, page, title, verdict
    from bench.drift.sides import Drift, compared, in_turns, packed
    from bench.drift.versions import NEWEST, fetch, library, parsed, require_known
    from bench.measure.machine import environment
    from bench.sweep.assembly import assemble
    from bench.sweep.spec import parse
    from engines.base import EngineSpec
    from engines.catalog import engine
    from export.store import Store, write_atomic
    from export.zoo.yaml_file import read_yaml

    defaults = read_yaml(DEFAULTS, "file")
    given = {one.name: getattr(args, one.name) for one in declared() if one.name in FIELDS}
    sweep = {**defaults["sweep"], **{name: value for name, value in given.items() if value is not None}}
    asked = parse(sweep, "the command line")
    engines = [engine(EngineSpec.parse(text)) for text in asked.engines]
    before, after = parsed(args.before, "--before"), parsed(args.after, "--after")
    require_known(before, engines, "--before")
    require_known(after, engines, "--after")
    store = Store(args.store)
    wheels = store.root / "wheels" / "drift"
    versions = ({**defaults["before"], **before}, after)
    pairs = [[fetch(name, of.get(name, NEWEST), wheels) for of in versions] for name in map(library, engines)]
    found: list[Drift] = []
    with tempfile.TemporaryDirectory(prefix="backbones-") as place:
        for text, pair in zip(asked.engines, pairs, strict=True):
            sides = packed(assemble(parse({**sweep, "engines": [text]}, "drift"), store), pair, Path(place), store)
            in_turns(sides, asked.repeats)
            found.append(compared(sides[0], sides[1], Path(place), store))
    if args.json:
        print(json.dumps([document(drift) for drift in found], indent=1))
    else:
        for drift in found:
            print(f"{title(drift)}\n")
            print_table(HEADS, lines(drift))
            print(f"\n{verdict(drift)}\n")
    if args.markdown:
        write_atomic(args.markdown, page(found, environment().name, date.today().isoformat()).encode())
    return 0


cli = console(main)

if __name__ == "__main__":
    cli()
