"""``bob run``: backbones × engines, scored on the features that the engines emit, timed, ranked.

With no arguments it runs the demo sweep. Heavy libraries load after the arguments have been read, not before.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from bench.sweep.option import WHAT
from bench.sweep.options import add_all
from bench.sweep.spec import declared, read
from export.command import add_store, console, new_parser, print_table
from export.errors import UserError

if TYPE_CHECKING:
    from bench.cluster.start import Gathered
    from bench.records.record import Record
    from bench.sweep.assembly import Assembly
    from bench.sweep.desk import Desk
    from bench.sweep.spec import SweepSpec
    from bench.verdict.ranking import Ranking
    from export.store import Store

EXAMPLES = """\
examples:
  bob run                                            the demo: real backbones, real photographs
  bob run --engines ort --models efficientnet_lite0,vit_s --data ~/photos --tasks knn,linear_probe
  bob run --data ~/photos --out-of-scope ~/others --tasks knn,out_of_scope
  bob run --config sweep.yaml --on ray://auto        on the nodes of a Ray cluster (docs/cluster.md)
  bob run --config sweep.yaml --dry-run              what would run, and what is finished

A run that was stopped is resumed by the same command: it does only what is missing.
Exit code: 0 done, 1 some result failed, 2 a user error (options, files), 3 a bug.
"""


ON = "have the nodes of a Ray cluster do it: ray (this machine alone), ray://auto, ray://HOST:PORT (docs/cluster.md)"


def parser() -> argparse.ArgumentParser:
    """The command line; every option overrides the field of the same name in the sweep file."""
    p = new_parser("bob run", "Score and time backbones on the engines that will be deployed, and rank them.", EXAMPLES)
    what = add_all(p)[WHAT]
    what.description = "A,B is a comma-separated list."
    what.add_argument(
        "--config", type=Path, metavar="FILE", help="a sweep in YAML; its fields are named like these options"
    )
    where = p.add_argument_group("output")
    where.add_argument("--out", type=Path, default=Path("results"), metavar="DIR", help="records and report (results)")
    add_store(where)
    where.add_argument("--on", default="", metavar="CLUSTER", help=ON)
    where.add_argument(
        "--shared-store", action="store_true", help="with --on: leave out nodes that do not see the store"
    )
    where.add_argument("--dry-run", action="store_true", help="list the cells and what is finished, then stop")
    where.add_argument("--fresh", action="store_true", help="score and time finished cells again")
    where.add_argument("--json", action="store_true", help="print the final table as JSON")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the sweep that the command line asks for; the exit code."""
    args = parser().parse_args(argv)
    sweep = _sweep(args)

    if args.on:
        from bench.cluster.connect import look_for

        look_for(args.on)

    from bench.sweep.assembly import assemble
    from bench.sweep.desk import Desk
    from bench.sweep.looks import Looks
    from bench.sweep.pipeline import run
    from export.progress import say
    from export.store import Store

    store = Store(args.store, say)
    desk = Desk.open(args.out, sweep, store, args.fresh)
    with ExitStack() as stack:
        if not args.dry_run:
            stack.enter_context(desk.alone())
        asked = assemble(sweep, store)
        cluster = stack.enter_context(_joined(args, sweep, asked, desk, store)) if args.on else None
        asked = cluster.asked if cluster else asked
        if args.dry_run:
            return _dry_run(asked, desk, args.json, cluster.where if cluster else ())
        say(f"{desk.environment.name}, {desk.environment.cores} cores; records in {desk.records}")
        protocols = asked.protocols(desk.machine)
        looks = Looks(lambda timings: _so_far(desk.folder, timings, protocols))
        tally = cluster.run(desk, looks) if cluster else run(asked, desk, looks)
        if tally.bugs:
            say(f"{tally.bugs} results failed because of a bug: please report it; the tracebacks are in their records")
        _verdict(desk.folder, args.json, protocols)
    return tally.exit_code


@contextmanager
def _joined(
    args: argparse.Namespace, sweep: SweepSpec, asked: Assembly, desk: Desk, store: Store
) -> Iterator[Gathered]:
    """The nodes of the cluster that ``--on`` names, while it is used."""
    from bench.cluster.connect import connected

    with connected(args.on):
        from bench.cluster.start import gathered

        with gathered(sweep, asked, desk, store, args.store is None, args.shared_store) as found:
            yield found


def _sweep(args: argparse.Namespace) -> SweepSpec:
    return read(args.config, **{one.name: getattr(args, one.name) for one in declared()})


def _dry_run(asked: Assembly, desk: Desk, as_json: bool, where: Sequence[str] = ()) -> int:
    """What each cell still owes. Weights may be looked for (a key needs their hash), but nothing is built.

    Args:
        where: the nodes that would do each cell, on a cluster.
    """
    rows = []
    for number, planned in enumerate(asked.cells):
        timings, note = planned.timed(asked.data), planned.availability.reason
        owed = planned.owed(asked.data)
        row = {"cell": str(planned.cell), "scores": len(owed), "timings": len(timings), "note": note}
        if where:
            row["nodes"] = where[number]
        try:
            if planned.availability.ok:
                due = [(images, scorer) for images, scorer in owed if not planned.unscored(scorer)]
                done = [desk.finished(planned.score_key(images, scorer)) for images, scorer in due]
                timed = [desk.finished(planned.timing_key(asked.data[0], s, desk.machine, h)) for s, h in timings]
                row |= {"scores_left": done.count(False), "timings_left": timed.count(False)}
                row["note"] = next(filter(None, (planned.unscored(scorer) for _, scorer in owed)), "")
        except UserError as error:
            row["note"] = error.what
        rows.append(row)
    if as_json:
        print(json.dumps(rows, indent=1))
        return 0
    lines = [
        [
            str(row["cell"]),
            *(f"{row.get(f'{kind}_left', '–')} of {row[kind]}" for kind in ("scores", "timings")),
            *([str(row["nodes"])] if where else []),
            str(row["note"]),
        ]
        for row in rows
    ]
    heads = ("cell", "scores left", "timings left", *(["nodes"] if where else []), "note")
    print_table(heads, lines)
    return 0


def _so_far(folder: Path, timings: Sequence[Record], protocols: Iterable[str]) -> None:
    """The table and the pick before the end, on standard error: the results are what stands on standard output."""
    from bench.records.results import Results
    from bench.verdict.choose import ranking_of

    finished = Results.load(folder)
    ranking = ranking_of(Results((*finished.records, *timings), finished.unread).choose(protocols=protocols))
    print("\nso far, with one repeat of each timing:", file=sys.stderr)
    _show(ranking, sys.stderr)
    print(file=sys.stderr)


def _verdict(folder: Path, as_json: bool, protocols: Iterable[str]) -> None:
    """The table, the pick that it suggests, and the page, of what may be compared with this sweep."""
    from bench.records.results import Results
    from bench.report import write
    from bench.verdict.choose import ranking_of
    from export.progress import say

    results = Results.load(folder).choose(protocols=protocols)
    ranking = ranking_of(results)
    if as_json:
        print(json.dumps(ranking.as_rows(), indent=1))
    else:
        _show(ranking)
    say(f"report: {write(results, folder / 'report.html').resolve()}")


def _show(ranking: Ranking, file: TextIO | None = None) -> None:
    """The table, and below it the pick that it suggests; ``file`` is standard output by default."""
    from bench.verdict.picking import suggestion
    from bench.verdict.show import print_ranking

    print_ranking(ranking, file=file)
    print(suggestion(ranking), file=file)


cli = console(main)

if __name__ == "__main__":
    cli()
