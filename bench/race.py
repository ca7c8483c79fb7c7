"""``bob race``: my photographs, a budget, minutes, and an answer: growing rungs of test images eliminate backbones.

With ``--replay`` nothing runs: races are held over the records of a finished sweep, which shows what one would have
found and spent.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.racing import DELTA, SEEDS, TOLERANCE
from bench.sweep.options import add
from bench.sweep.spec import declared, read
from bench.verdict.choose import add_limits, limits_of
from export.command import add_store, console, listed, new_parser
from export.errors import UserError
from export.variant import ALL

if TYPE_CHECKING:
    from bench.racing.start import Ended
    from bench.sweep.spec import SweepSpec
    from bench.verdict.picking import Limit

EXAMPLES = """\
examples:
  bob race --data ~/photos --max latency_p50_ms=20 --minutes 15
  bob race --data ~/photos --max latency_p50_ms=20 --known results --models efficientnet_lite0,mobilenetv2,vit_s
  bob race --replay results --max latency_p50_ms=20       what races over a finished sweep would have found and spent
  bob race --replay published

The finalists' records lie in --out: bob rank, bob pick and bob report read them. A race that was stopped goes on where
it was. The method and what it is sure of: docs/race.md.
"""
FIELDS = (
    *("models", "engines", "data", "tasks", "precisions", "exclude", "preprocess", "size", "depth", "resize"),
    *("weights", "zoo", "batches", "threads", "limit", "seed", "seconds", "repeats", "max_unreadable"),
)
"""What a race takes of a sweep."""
DEFAULTS = Path(__file__).parent / "racing" / "race.yaml"
OUT = Path("results")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = new_parser(
        "bob race", "Find the backbone to ship on your photographs, within a budget and in minutes.", EXAMPLES
    )
    race = p.add_argument_group("the race")
    add_limits(race)
    race.add_argument("--minutes", type=float, default=15.0, metavar="N", help="minutes of wall time (15)")
    lost = f"the probability that the best is lost, at most ({DELTA})"
    race.add_argument("--delta", type=float, default=DELTA, metavar="P", help=lost)
    equal = f"points that are practically equal ({TOLERANCE})"
    race.add_argument("--tolerance", type=float, default=TOLERANCE, metavar="POINTS", help=equal)
    race.add_argument(
        "--known",
        action="append",
        type=Path,
        default=[],
        metavar="DIR",
        help="results whose timings on this machine predict costs before anything runs; repeatable",
    )
    replay = p.add_argument_group("replay")
    replay.add_argument(
        "--replay", metavar="DIR", help="race over the records of a finished sweep; published: the project's own"
    )
    replay.add_argument("--seeds", type=int, default=SEEDS, metavar="N", help=f"orders of the test images ({SEEDS})")
    add(p.add_argument_group("what to race"), *FIELDS)
    where = p.add_argument_group("output")
    where.add_argument("--out", type=Path, default=OUT, metavar="DIR", help="records and certificate (results)")
    add_store(where)
    where.add_argument("--json", action="store_true", help="the certificate and the pick, or the replays, as JSON")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Race, or replay; the exit code."""
    args = parser().parse_args(argv)
    limits = limits_of(args)
    if not 0 < args.delta < 1 or args.tolerance < 0 or args.minutes <= 0 or args.seeds < 1:
        raise UserError("--delta is between 0 and 1, --tolerance 0 or more, --minutes and --seeds are above 0.")
    if args.replay:
        return _replay(args, limits)
    return _race(args, limits)


def _replay(args: argparse.Namespace, limits: Sequence[Limit]) -> int:
    from bench.racing.replay import replays
    from bench.racing.replays import document, print_replays
    from bench.records.results import PUBLISHED, Results
    from bench.verdict.files import as_json

    results = Results.load(PUBLISHED if args.replay == "published" else Path(args.replay)).choose(data=args.data or ())
    found = replays(results, limits, args.delta, args.tolerance, args.seeds, listed(args.tasks or ""))
    if args.json:
        print(as_json(document(found)))
    else:
        print_replays(found, limits, args.delta)
    return 0


def _race(args: argparse.Namespace, limits: Sequence[Limit]) -> int:
    from bench.racing.costs import scenarios_for
    from bench.racing.start import Terms, run
    from bench.sweep.desk import Desk
    from export.progress import say
    from export.store import Store

    sweep = _sweep(args, scenarios_for(limits))
    store = Store(args.store, say)
    desk = Desk.open(args.out, sweep, store)
    terms = Terms(tuple(limits), args.minutes, args.delta, args.tolerance, tuple(args.known))
    with desk.alone():
        say(f"{desk.environment.name}, {desk.environment.cores} cores; records in {desk.records}")
        ended = run(sweep, terms, desk, store)
        _verdict(ended, limits, args)
    return ended.exit_code


def _sweep(args: argparse.Namespace, scenarios: tuple[str, ...]) -> SweepSpec:
    """What is raced: by default every backbone of the zoo, and what ``race.yaml`` says."""
    given = {one.name: getattr(args, one.name) for one in declared() if one.name in FIELDS}
    if not given["data"]:
        raise UserError("A race needs photographs.", "", "bob race --data ~/photos --max latency_p50_ms=20")
    if given["models"] in (None, ALL):
        from export.zoo.backbones import listing

        given["models"] = [backbone.name for backbone in listing([Path(file) for file in given["zoo"] or ()])]
    if given["engines"] or given["precisions"]:
        given["exclude"] = given["exclude"] or ()  # by default it names cells that are not there then
    return read(DEFAULTS, **given, scenarios=scenarios)


def _verdict(ended: Ended, limits: Sequence[Limit], args: argparse.Namespace) -> None:
    """The pick among the finalists' cells, and the certificate."""
    from bench.records.results import Results
    from bench.verdict.budget import document, explained
    from bench.verdict.choose import ranking_of
    from bench.verdict.files import as_json
    from bench.verdict.picking import pick

    document_of_pick, words = None, "Nothing was measured, so no cell is suggested."
    try:
        if not ended.protocols:
            raise UserError(words, "", "the same command with more --minutes: it goes on where it was")
        ranking = ranking_of(Results.load(args.out).choose(protocols=ended.protocols))
        found = pick(ranking, "", limits)
        document_of_pick, words = document(ranking, found), explained(ranking, found)
    except UserError as error:
        words = str(error)
    if args.json:
        print(as_json({"certificate": ended.certificate.document(), "pick": document_of_pick}))
        return
    print(words)
    print()
    print("\n".join(ended.certificate.lines()))


cli = console(main)

if __name__ == "__main__":
    cli()
