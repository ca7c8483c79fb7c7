"""``python -m bench.run``: backbones × engines, scored on the features that the engines emit, timed, ranked.

With no arguments it runs the demo sweep. Heavy libraries load after the arguments have been read, not before.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from export.command import add_store, console, listed, new_parser, print_table, sizes
from export.errors import Unavailable, UserError

if TYPE_CHECKING:
    from bench.records.record import Record
    from bench.sweep.assembly import Assembly
    from bench.sweep.desk import Desk
    from bench.sweep.spec import SweepSpec

EXAMPLES = """\
examples:
  python -m bench.run                                            the demo: real backbones, real photographs
  python -m bench.run --engine ort --models efficientnet_lite0,vit_s --data ~/photos --tasks knn,linear_probe
  python -m bench.run --data ~/photos --out-of-scope ~/others --tasks knn,out_of_scope
  python -m bench.run --config sweep.yaml --dry-run              what would be run, and what is finished

A run that was stopped goes on where it was: the same command does only what is missing.
Exit code: 0 done, 1 some result failed, 2 a mistake in what was asked or given, 3 a bug.
"""


def parser() -> argparse.ArgumentParser:
    """The command line; every option overrides the field of the same name in the sweep file."""
    p = new_parser(
        "bench.run", "Score and time backbones on the engines that will be deployed, and rank them.", EXAMPLES
    )
    what = p.add_argument_group("what to run (lists are separated by commas)")
    what.add_argument("--config", type=Path, metavar="FILE", help="a sweep in YAML; its fields are the options below")
    what.add_argument("--models", "--model", metavar="A,B", help="zoo names, aliases, timm ids, NAME@random, FILE.onnx")
    what.add_argument("--backbone", action="append", metavar="MODULE:FUNCTION", help="your own module; repeatable")
    what.add_argument("--engine", "--engines", dest="engines", metavar="A,B", help="name or name:provider")
    what.add_argument(
        "--precision", "--precisions", dest="precisions", metavar="A,B", help="fp32, fp16, bf16, int8, fp8"
    )
    what.add_argument(
        "--exclude",
        action="append",
        metavar="WORDS",
        help="cells to leave out: 'ort int8' is every cell of that engine and that precision; repeatable",
    )
    what.add_argument(
        "--preprocess", metavar="PATH", help="preprocessing path: cpu; for trt and trt-rtx also cuda, nvimgcodec"
    )
    what.add_argument(
        "--data", metavar="REF", action="append", help="a data set's name, folder, CSV or archive; repeatable"
    )
    what.add_argument(
        "--shifted", action="append", metavar="REF", help="test on this set too what --data was fitted on"
    )
    what.add_argument(
        "--corruption", metavar="A,B", help="and on corrupted test images: fog, fog:3 (severity), … or all"
    )
    what.add_argument(
        "--out-of-scope",
        action="append",
        metavar="REF",
        help="images of none of the classes of --data, for out-of-distribution detection (task out_of_scope)",
    )
    what.add_argument("--tasks", metavar="A,B", help="'list' explains them; 'all'; 'none' for no task")
    what.add_argument(
        "--scenario",
        "--scenarios",
        dest="scenarios",
        metavar="A,B",
        help="single_stream, offline, end_to_end, search; 'none'",
    )
    what.add_argument(
        "--weights", action="append", metavar="MODEL=FILE", help="a local checkpoint for a model; repeatable"
    )
    what.add_argument("--zoo", action="append", metavar="FILE", help="a YAML file with zoo rows of your own")
    how = p.add_argument_group("how")
    how.add_argument("--batches", metavar="1,8", help="batch sizes of each plan")
    how.add_argument("--threads", type=int, metavar="N", help="threads for one inference; 0: all cores")
    how.add_argument("--limit", type=int, metavar="N", help="at most N images of each data set (seeded, stratified)")
    how.add_argument(
        "--index-size", type=int, metavar="N", help="vectors of the index in the scenario search (100,000)"
    )
    how.add_argument("--seed", type=int, metavar="N")
    how.add_argument("--seconds", type=float, metavar="S", help="measuring time for each scenario and repeat")
    how.add_argument("--repeats", type=int, metavar="N", help="fresh processes for each cell, interleaved")
    how.add_argument("--max-unreadable", type=float, metavar="F", help="share of unreadable images that stops the run")
    where = p.add_argument_group("where, and what to say")
    where.add_argument("--out", type=Path, default=Path("results"), metavar="DIR", help="records and report (results)")
    add_store(where)
    where.add_argument("--dry-run", action="store_true", help="list the cells and what is finished, and stop")
    where.add_argument("--fresh", action="store_true", help="score and time again what is finished")
    where.add_argument("--json", action="store_true", help="print the final table as JSON")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the sweep that the command line asks for; the exit code."""
    args = parser().parse_args(argv)
    if args.tasks == "list":
        from tasks.__main__ import main as tasks_main

        return tasks_main(["--json"] if args.json else [])
    sweep = _sweep(args)

    from bench.measure.machine import environment
    from bench.sweep.assembly import assemble
    from bench.sweep.desk import Desk
    from bench.sweep.looks import Looks
    from bench.sweep.pipeline import run
    from export.progress import say
    from export.store import Store

    asked = assemble(sweep, Store(args.store, say))
    desk = Desk(args.out, environment(), args.fresh)
    if args.dry_run:
        return _dry_run(asked, desk, args.json)
    say(f"{desk.environment.processor}, {desk.environment.cores} cores; records in {args.out}/records")
    protocols = asked.protocols(desk.machine)
    tally = run(asked, desk, Looks(lambda timings: _so_far(args.out, timings, protocols)))
    if tally.bugs:
        say(f"{tally.bugs} results failed by a bug: please report it; the tracebacks are in their records")
    _verdict(args, protocols)
    return tally.exit_code


def _sweep(args: argparse.Namespace) -> SweepSpec:
    from bench.sweep.spec import read

    def parts(text: str | None) -> tuple[str, ...] | None:
        return None if text is None else listed(text)

    models = (*listed(args.models or "none"), *(args.backbone or ()))
    sweep = read(
        args.config,
        models=models or None,
        engines=parts(args.engines),
        precisions=parts(args.precisions),
        exclude=tuple(args.exclude) if args.exclude else None,
        tasks=None if args.tasks == "all" else parts(args.tasks),
        scenarios=parts(args.scenarios),
        data=tuple(args.data) if args.data else None,
        shifted=tuple(args.shifted) if args.shifted else None,
        corruptions=parts(args.corruption),
        outside=tuple(args.out_of_scope) if args.out_of_scope else None,
        preprocess=args.preprocess,
        batches=None if args.batches is None else sizes(args.batches, "--batches"),
        threads=args.threads,
        limit=args.limit,
        index_size=args.index_size,
        seed=args.seed,
        seconds=args.seconds,
        repeats=args.repeats,
        max_unreadable=args.max_unreadable,
        zoo=tuple(args.zoo) if args.zoo else None,
        weights=_weights(args.weights) if args.weights else None,
    )
    return _with_all_tasks(sweep) if args.tasks == "all" else sweep


def _with_all_tasks(sweep: SweepSpec) -> SweepSpec:
    from bench.sweep.cells import all_tasks
    from export.progress import say

    tasks = all_tasks(bool(sweep.outside))
    left = sorted(set(all_tasks(True)) - set(tasks))
    if left:
        say(f"left out, because no --out-of-scope is given: {', '.join(left)}")
    return replace(sweep, tasks=tasks)


def _weights(pairs: Sequence[str]) -> dict[str, str]:
    named = {}
    for pair in pairs:
        model, equals, file = pair.partition("=")
        if not equals:
            raise UserError(f"--weights takes MODEL=FILE, not {pair!r}.")
        named[model] = file
    return named


def _dry_run(asked: Assembly, desk: Desk, as_json: bool) -> int:
    """What each cell still owes. Weights may be looked for (a key needs their hash), but nothing is built."""
    rows = []
    for planned in asked.cells:
        scenarios, note = planned.scenarios, planned.availability.reason
        owed = planned.owed(asked.data)
        row = {"cell": str(planned.cell), "scores": len(owed), "timings": len(scenarios), "note": note}
        try:
            if planned.availability.ok:
                done = [desk.finished(planned.score_key(images, scorer)) for images, scorer in owed]
                timed = [desk.finished(planned.timing_key(asked.data[0], s, desk.machine)) for s in scenarios]
                unscored = planned.unscored
                row |= {"scores_left": 0 if unscored else done.count(False), "timings_left": timed.count(False)}
                row["note"] = unscored
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
            str(row["note"]),
        ]
        for row in rows
    ]
    print_table(("cell", "scores left", "timings left", "note"), lines)
    return 0


def _so_far(folder: Path, timings: Sequence[Record], protocols: Iterable[str]) -> None:
    """The table and the pick before the end, on standard error: the results are what stands on standard output."""
    from bench.records.results import Results
    from bench.verdict.choose import ranking_of
    from bench.verdict.picking import suggestion
    from bench.verdict.show import print_ranking

    finished = Results.load(folder)
    ranking = ranking_of(Results((*finished.records, *timings), finished.unread).choose(protocols=protocols))
    print("\nso far, with one repeat of each timing:", file=sys.stderr)
    print_ranking(ranking, file=sys.stderr)
    print(f"{suggestion(ranking)}\n", file=sys.stderr)


def _verdict(args: argparse.Namespace, protocols: Iterable[str]) -> None:
    """The table, the pick that it suggests, and the page, of what may be compared with this sweep."""
    from bench.records.results import Results
    from bench.report import write
    from bench.verdict.choose import ranking_of
    from bench.verdict.picking import suggestion
    from bench.verdict.show import print_ranking
    from export.progress import say

    results = Results.load(args.out).choose(protocols=protocols)
    ranking = ranking_of(results)
    if args.json:
        print(json.dumps(ranking.as_rows(), indent=1))
    else:
        print_ranking(ranking)
        print(suggestion(ranking))
    try:
        page = write(results, args.out / "report.html")
    except Unavailable as error:
        say(f"no page: {error.what} {error.remedy}")
    else:
        say(f"page: {page.resolve()}")


cli = console(main)

if __name__ == "__main__":
    cli()
