"""``python -m bench.publish``: the records of a results folder as one small file, to be shipped with the project.

``bob rank --published`` reads it. Nothing is written that would be ranked otherwise than the folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.verdict.choose import add_results, load
from export.command import console, new_parser
from export.errors import UserError

if TYPE_CHECKING:
    from bench.records.results import Results

MOST = 1_000_000
"""Bytes of the file at most."""
BITS = (10, 12, 14, 16)
"""Precisions of average precision and its like, coarsest first."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = new_parser("bench.publish", "Write the records of a results folder as one small file, without timing samples.")
    add_results(p)
    p.add_argument("--out", type=Path, metavar="FILE", help="where to write it (the file that --published reads)")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Write the file and say its size; 0 when done."""
    args = parser().parse_args(argv)
    from bench.records.archive import pack, unpack
    from bench.records.results import PUBLISHED, Results
    from bench.verdict.table import rows
    from export.progress import say
    from export.store import write_atomic

    results = load(args)
    kept = [record for row in rows(results)[0] for record in (*row.records, *row.troubles)]
    target = args.out or PUBLISHED
    ranks = _ranks(results)
    for bits in BITS:
        content = pack(kept, bits)
        if _ranks(Results(unpack(content, target.name))) == ranks:
            break
    else:
        raise RuntimeError("the records that were read back rank otherwise than the folder")
    if len(content) > MOST:
        raise UserError(
            f"The file would have {len(content):,} bytes; at most {MOST:,} are allowed.",
            f"It holds {len(kept)} records.",
            "publish fewer data sets: --data NAME",
        )
    write_atomic(target, content)
    say(f"{len(kept)} records, {len(ranks)} cells, {len(content):,} bytes")
    print(target)
    return 0


def _ranks(results: Results) -> dict[str, tuple[str, str]]:
    """Cell → status and rank."""
    from bench.verdict.choose import ranking_of

    ranking = ranking_of(results)
    ranks = {standing.row: standing.rank for standing in ranking.standings}
    return {
        str(label): (ranking.sheet.status[row], ranks.get(row, "")) for row, label in enumerate(ranking.sheet.labels)
    }


cli = console(main)

if __name__ == "__main__":
    cli()
