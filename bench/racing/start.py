"""A live race from beginning to end: cells, rung 0, weights, data, rungs, finals, certificate."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.racing.arms import rung_0, with_weights
from bench.racing.certificate import Certificate, Out, Stayed
from bench.racing.costs import Budget, Measured, measured
from bench.racing.elimination import Stakes
from bench.racing.live import Live
from bench.racing.nearest import nothing_within
from bench.racing.race import Race
from bench.racing.sizes import known as known_sizes
from bench.records.results import Results
from bench.sweep.assembly import NEEDS, assemble
from bench.sweep.cells import Planned
from bench.sweep.desk import Desk
from bench.sweep.spec import SweepSpec
from bench.verdict.picking import Limit
from export.errors import UserError
from export.progress import say
from export.store import Store, write_atomic
from tasks.catalog import task
from tasks.knn import Knn

FILE = "race.json"
TASK = Knn.meta.name


@dataclass(frozen=True)
class Terms:
    """What a race is given.

    Attributes:
        minutes: of wall time. delta, tolerance: see :class:`bench.racing.elimination.Stakes`.
        known: results folders and files whose timings on this machine are used at rung 0.
    """

    limits: tuple[Limit, ...]
    minutes: float
    delta: float
    tolerance: float
    known: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Ended:
    """The end of a race: its certificate, the protocols of what the finals measured, and the exit code that their
    failures deserve."""

    certificate: Certificate
    protocols: frozenset[str]
    exit_code: int


def run(sweep: SweepSpec, terms: Terms, desk: Desk, store: Store) -> Ended:
    """Race, and write the certificate beside the records.

    Raises:
        UserError: the data are not labelled images, no cell is within the budget, no backbone has weights here, or the
            minutes are too few.
    """
    begin = time.monotonic()
    for name in sweep.tasks:
        if (kind := task(name).meta.kind) != "labels":
            raise UserError(f"A race is for tasks of classes; {name} needs {NEEDS[kind]}.", "", "--tasks knn")
    # without tasks, so that a data set of another kind is refused here in a race's own words
    asked = assemble(replace(sweep, tasks=()), store)
    data, *others = asked.data
    if others:
        raise UserError("A race is run on one data set.", f"{len(asked.data)} were given.", "--data once")
    if data.kind != "labels":
        raise UserError(
            f"A race needs one class an image; {data.name} has {NEEDS[data.kind]}.",
            "It compares pooled features by k-NN, and no task of these is for masks or boxes.",
            "bob run --data with tasks on maps (bob tasks)",
        )
    cells = [replace(cell, sweep=replace(cell.sweep, tasks=sweep.tasks)) for cell in asked.cells]
    budget = Budget(terms.limits, tuple(_known(terms.known, desk)), known_sizes())
    arms, never = rung_0(cells, budget)
    for line in budget.remarks():
        say(line)
    for one in never:
        say(f"  out at rung 0: {one.name}, {one.kind}: {one.why}")
    if not arms:
        raise nothing_within(terms.limits, [m.costs for m in budget.known], [one.why for one in never])
    arms, lacking = with_weights(arms, store)
    swept = sum(len(arm.cells) for arm in arms) * len(data.samples)
    live = Live(data, terms.limits, desk, begin + 60 * terms.minutes, sweep.seed, never=[*never, *lacking])
    live.qualify(arms)
    stakes = Stakes(len(live.arms), live.rungs, terms.delta, terms.tolerance)
    race = Race(stakes, live, [arm.able for arm in live.arms])
    say(f"{len(live.arms)} backbones start; {stakes.images} test images in {len(stakes.rungs)} rungs")
    race.run()
    minutes = (time.monotonic() - begin) / 60
    certificate = _certificate(race, live, terms, swept, minutes, budget)
    write_atomic(desk.folder / FILE, json.dumps(certificate.document(), indent=1, ensure_ascii=False).encode())
    if live.costs and not live.scored:
        raise nothing_within(terms.limits, live.costs)
    protocols = {p for cell in live.scored for p in cell.protocols((data,), desk.machine)}
    return Ended(certificate, frozenset(protocols), live.tally.exit_code)


def _known(places: Sequence[Path], desk: Desk) -> list[Measured]:
    """The costs in these places and in the race's own folder."""
    records = [record for place in places for record in Results.load(place).records]
    if any(desk.records.glob("*.json")):
        records += Results.load(desk.folder).records
    return measured(records, desk.machine)


def _certificate(race: Race, live: Live, terms: Terms, swept: int, minutes: float, budget: Budget) -> Certificate:
    names = [arm.name for arm in live.arms]
    reference: Planned = live.arms[0].reference
    left = [
        Stayed(names[a], race.score(a), len(race.right[a]), a in race.measured) for a in race.inside if a in race.right
    ]
    return Certificate(
        data=live.data.name,
        task=TASK,
        reference=f"{reference.cell.engine} {reference.cell.precision}",
        delta=terms.delta,
        tolerance=terms.tolerance,
        limits=tuple(map(str, terms.limits)),
        end=race.end,
        test=race.stakes.images,
        seen=race.seen,
        left=tuple(left),
        eliminated=tuple(
            Out(names[one.arm], names[one.by], one.seen, one.points, one.chance) for one in race.out.values()
        ),
        unfit=tuple(names[arm] for arm in sorted(race.unfit)),
        never=tuple(live.never),
        undone=tuple(live.undone),
        images=live.images,
        swept=swept,
        minutes=minutes,
        asked=terms.minutes,
        remarks=tuple(budget.remarks()),
    )
