"""``python -m bench.gpu_check`` (``make gpu-check``): one sweep over a GPU's engines, as a table that can be pasted.

A thin layer over ``bench.run``: the same pipeline, with its parity gate, child processes, records and resuming. The
sweep file names the engines.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from export.command import add_store, console, new_parser
from export.errors import UserError

if TYPE_CHECKING:
    from bench.figures.figure import Figure
    from export.store import Store
    from tasks.data.base import DataSet

SWEEP = Path(__file__).parent / "sweep" / "gpu.yaml"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = new_parser(
        "bench.gpu_check",
        "Measure backbone x precision x engine on this machine's GPU, and print the table as Markdown.",
        "Exit code: 0 done, 1 some cell failed, 2 no engine of the sweep runs here (the reason is printed).",
    )
    p.add_argument("--config", type=Path, default=SWEEP, metavar="FILE", help="a sweep in YAML (bench/sweep/gpu.yaml)")
    p.add_argument("--out", type=Path, default=Path("results/gpu"), metavar="DIR", help="records (results/gpu)")
    add_store(p)
    p.add_argument("--dry-run", action="store_true", help="list which of the sweep's engines run here, then stop")
    p.add_argument("--json", action="store_true", help="print the table as JSON")
    p.add_argument("--markdown", type=Path, metavar="FILE", help="also write the table to FILE")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code.

    Raises:
        Unavailable: none of the sweep's engines runs here.
    """
    args = parser().parse_args(argv)
    from bench.figures.gpu import figures
    from bench.records.results import Results
    from bench.sweep.assembly import assemble
    from bench.sweep.desk import Desk
    from bench.sweep.expansion import expand
    from bench.sweep.pipeline import run
    from bench.sweep.spec import read
    from bench.verdict.matrix import matrix
    from export.progress import say
    from export.store import Store, write_atomic

    sweep, store = read(args.config), Store(args.store, say)
    # sorted, so that an engine that lacks only one precision counts as running: its other cells come last
    cells = sorted(expand(sweep, store), key=lambda c: c.availability.ok)
    for engine, here in {c.cell.engine: c.availability for c in cells}.items():
        say(f"{engine}: {'runs here' if here.ok else f'{here.reason} {here.remedy}'.strip()}")
    if args.dry_run:
        return 0
    desk = Desk.open(args.out, sweep, store)
    with desk.alone():
        asked = assemble(sweep, store)
        tally = run(asked, desk)
    found = matrix(Results.load(desk.folder).choose(protocols=asked.protocols(desk.machine)))
    ratios = [*figures(asked.cells, asked.data[0], store), *_kernel(asked.data[0], store)]
    text = "\n".join([found.markdown(), *([""] if ratios else []), *(f"- {one.line}; {one.how}" for one in ratios)])
    if args.markdown:
        write_atomic(args.markdown, f"{text}\n".encode())
        say(f"wrote {args.markdown}")
    if args.json:
        rows = [line.as_row() for line in found.lines]
        print(json.dumps({"head": found.head, "rows": rows, "figures": [asdict(one) for one in ratios]}, indent=1))
    else:
        print(text)
    return tally.exit_code


def _kernel(images: DataSet, store: Store) -> list[Figure]:
    """The preprocessing kernel's own figures, where there is what they need."""
    from bench.figures.gpu_preprocess import BATCH, decoding, figures
    from bench.sweep.rotation import chosen
    from engines.cuda.choice import open_driver
    from engines.cuda.nvimgcodec import PACKAGE, NvImageDecoder
    from engines.library import installed
    from export.picture import decode
    from export.progress import say

    try:
        driver = open_driver()
        try:
            encoded = [images.read(name) for name in chosen(images, 0)]
            photographs = [decode(one) for one in encoded]
            found = list(figures((photographs * BATCH)[:BATCH], store, driver))
            if installed(PACKAGE):
                with driver.active():
                    found += decoding(encoded, NvImageDecoder())
            return found
        finally:
            driver.close()
    except UserError as error:
        say(f"the preprocessing kernel was not measured: {error}")
        return []


cli = console(main)

if __name__ == "__main__":
    cli()
