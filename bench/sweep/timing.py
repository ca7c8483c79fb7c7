"""Timing the cells of a sweep: from cells to jobs (see :mod:`bench.measure.rounds`), and from outcomes to records."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from bench.measure import rounds, runner
from bench.measure.clock import Series
from bench.measure.energy import costs
from bench.measure.scenarios.base import Runs, Scenario, Settings
from bench.measure.scenarios.catalog import headline, main_metric, scenario
from bench.measure.worker import Job, Outcome
from bench.records.asked import Asked
from bench.records.parts import Failure, SampleSeries, ScenarioSubject
from bench.records.record import Record
from bench.sweep import gate, keys, rotation
from bench.sweep.cells import Planned
from bench.sweep.desk import Desk
from bench.sweep.heads import Joint
from bench.sweep.scoring import Scoring
from engines.base import Plan
from engines.processor import granted, ranges
from export.errors import OutOfSpace
from export.parity import Parity
from export.progress import say
from export.spec import Metric
from export.store import Entry
from tasks.base import Task
from tasks.data.base import DataSet


@dataclass(frozen=True)
class Missing:
    """A scenario that is not finished: what was asked, and the key that its record will have."""

    scenario: Scenario
    asked: Asked
    key: str

    def shown(self, images: Entry) -> Missing:
        """The same with the number of different images that its timing rotates through."""
        subject = self.asked.subject
        assert isinstance(subject, ScenarioSubject)
        number = images.fields.get("different", subject.images)
        return replace(self, asked=replace(self.asked, subject=replace(subject, images=number)))


@dataclass(frozen=True)
class Timed:
    """One cell that is ready to be timed, and the scenarios that are still missing."""

    planned: Planned
    plan: Plan
    missing: tuple[Missing, ...]
    job: Job
    parity: Parity | None

    @property
    def head(self) -> str:
        """Which head is timed with the backbone, for a line of progress."""
        name = self.missing[0].asked.subject.head if isinstance(self.missing[0].asked.subject, ScenarioSubject) else ""
        return f" with {name}" if name else ""

    @property
    def turns(self) -> tuple[Job, ...]:
        """What each child process measures."""
        return self.job.turns

    def part(self, turn: int, desk: Desk) -> Path:
        """Where what a child saw is kept until all turns are there."""
        return desk.parts / f"{keys.part_key([one.key for one in self.missing], turn)}.json"


def prepare(planned: Planned, data: Sequence[DataSet], desk: Desk) -> list[Timed]:
    """Build everything that the cell's child processes will need: of the backbone alone, and of it with each head.

    Args:
        data: the images in rotation come from the first; empty where nothing is timed.

    Returns:
        What is to be timed; without the scenarios that are finished.
    """
    found: list[Timed] = []
    for head in (None, *(scorer for _, scorer in planned.deployed(data))):
        # the peak of memory never falls again, so what is alone in memory goes first
        missing = []
        for one in sorted(planned.scenarios, key=lambda s: not s.alone):
            if head and one.of_features:
                continue
            key = planned.timing_key(data[0], one, desk.machine, head)
            if not desk.finished(key):
                missing.append(Missing(one, desk.timing(planned, data[0], one, head), key))
        if missing:
            plan = planned.plan() if head is None else _joint(planned, data[0], head)
            found.append(_timed(planned, plan, missing, data[0], desk))
    return found


def _joint(planned: Planned, images: DataSet, head: Task) -> Plan:
    """The plan of backbone and head, made when it was scored; or made now, of the fit in the store."""
    with Scoring(planned, [(images, head)]) as scoring:
        fit = scoring.fitted(images, head)
        return Joint.of(planned, images, head, fit).plan(planned.engine)


def _timed(planned: Planned, plan: Plan, missing: Sequence[Missing], images: DataSet, desk: Desk) -> Timed:
    store, sweep = planned.store, planned.sweep
    parity = gate.check(planned.engine, plan, store)
    shown = rotation.prepare(images, planned.path(plan.artifact), sweep.seed, store)
    job = Job(
        store=str(store.root),
        engine=planned.engine.spec.name,
        provider=planned.engine.spec.provider,
        threads=granted(sweep.threads, sweep.cores),
        onnx_key=plan.artifact.key,
        batches=planned.profile.batches,
        preprocess=sweep.preprocess,
        queries_key=shown.key,
        scenarios=tuple(one.scenario.name for one in missing),
        settings=planned.settings,
        repeats=sweep.repeats,
        meter=sweep.meter,
        pin=sweep.cores,
        plan_key=plan.key,
    )
    timed = Timed(planned, plan, tuple(one.shown(shown) for one in missing), job, parity)
    if desk.fresh:
        for turn in range(len(timed.turns)):
            timed.part(turn, desk).unlink(missing_ok=True)
    return timed


def glance(cells: Sequence[Timed], desk: Desk) -> list[Record]:
    """The first turn of every cell, and the records that it alone would make: for a table before the end.

    Nothing is published. What the children measured is kept, and :func:`run` goes on from there. A cell that fails is
    left to it.
    """
    say(f"timing {len(cells)} cells once, for a provisional table")
    found: list[Record] = []
    for timed in cells:
        [first, *_] = timed.turns
        if all(scenario(name).once for name in first.scenarios):
            continue  # it takes minutes
        outcome = rounds.outcome(first, timed.part(0, desk))
        if not outcome.failure:
            with contextlib.suppress(ArithmeticError, LookupError, ValueError):  # it is reported where it counts
                found += [
                    _record(timed, one, [outcome]) for one in timed.missing if one.scenario.name in first.scenarios
                ]
    return found


def run(cells: Sequence[Timed], desk: Desk, measure: rounds.Measure | None = None) -> Iterator[Failure]:
    """Measure every cell in its child processes, and write the records; yields each result that failed.

    Args:
        measure: as for :func:`bench.measure.rounds.measured`.
    """
    if not cells:
        return
    repeats, seed = cells[0].planned.sweep.repeats, cells[0].planned.sweep.seed
    takes = rounds.takes(turn for timed in cells for turn in timed.turns)
    where = f", on cores {','.join(ranges(cells[0].job.pin))}" if cells[0].job.pin else ""
    say(f"timing {len(cells)} cells, {repeats} repeats each, in random order{where}: {takes}")
    say(runner.metering(cells[0].job).said(repeats))
    jobs, done = [timed.turns for timed in cells], set[int]()  # failed, or written

    def part(index: int, turn: int) -> Path:
        return cells[index].part(turn, desk)

    for turn, outcome in rounds.measured(jobs, part, seed, done.__contains__, measure):
        timed = cells[turn.index]
        where = f"{turn} {timed.planned.cell}{timed.head}"
        failure = _reported(timed, outcome, where, turn.note, turn.complete, desk)
        if failure or turn.complete:
            done.add(turn.index)
        if failure:
            yield from [failure] * len(timed.missing)
    for index in set(range(len(cells))) - done:  # what stayed disturbed
        where = f"{cells[index].planned.cell}{cells[index].head}"
        if failure := _reported(cells[index], None, where, "", True, desk):
            yield from [failure] * len(cells[index].missing)


def _reported(
    timed: Timed, outcome: Outcome | None, where: str, note: str, complete: bool, desk: Desk
) -> Failure | None:
    """Say what a child measured, and write the records of its cell where nothing is missing; why not, if not."""
    failure = outcome.failure if outcome else None
    try:
        if outcome and not failure:
            say(f"{where}: {note}{headline(outcome.series, timed.job.settings)}{rounds.trouble(outcome)}")
        if complete and not failure:
            _keep(timed, desk)
    except OutOfSpace:
        raise
    except Exception as error:  # a bug in one cell's numbers is that cell's result
        failure = Failure.of(error)
    if failure:
        say(f"{where} failed: {failure.what}")
        for one in timed.missing:
            desk.keep(one.asked.gave_up(failure), one.asked)
    return failure


def record(timed: Timed, outcomes: Sequence[Outcome], desk: Desk) -> None:
    """Write the records of what the children of all turns saw."""
    for one in timed.missing:
        desk.keep(_record(timed, one, outcomes), one.asked)


def _keep(timed: Timed, desk: Desk) -> None:
    paths = [timed.part(turn, desk) for turn in range(len(timed.turns))]
    record(timed, rounds.read(paths), desk)
    for path in paths:
        path.unlink()


def _record(timed: Timed, one: Missing, outcomes: Sequence[Outcome]) -> Record:
    """The record of one scenario, from the repeats so far."""
    plan, settings = timed.plan, timed.job.settings
    outcomes = [outcome for outcome in outcomes if one.scenario.name in outcome.series]
    runs = [outcome.series[one.scenario.name] for outcome in outcomes]
    energy = costs.joined([outcome.energy.get(one.scenario.name) for outcome in outcomes])
    node = ", ".join(sorted({outcome.node for outcome in outcomes} - {""}))
    asked = replace(one.asked, environment=replace(one.asked.environment, node=node))
    return asked.done(
        one.key,
        (
            *one.scenario.metrics(runs, settings),
            *costs.metrics(energy, tuple(one.scenario.metered(runs, settings))),
            *_costs(timed, one, outcomes),
            *_repeat_spread(one.scenario, runs, settings),
        ),
        keys=replace(timed.planned.keys(plan), joint=plan.key if plan.artifact.fields.get("head") else ""),
        about=timed.planned.about(plan.artifact),
        series=[_kept(name, repeat, run[name]) for repeat, run in enumerate(runs) for name in run],
        parity=timed.parity,
        arithmetic=plan.arithmetic,
        emulated=plan.emulated,
        placement=outcomes[0].placement,
        monitoring=[
            replace(window, repeat=repeat, attempts=outcome.attempts)
            for repeat, outcome in enumerate(outcomes)
            for window in outcome.monitoring.get(one.scenario.name, ())
        ],
        energy=energy,
        seconds=sum(sum(s.samples) for run in runs for s in run.values()) / 1e9,
    )


def _kept(name: str, repeat: int, s: Series) -> SampleSeries:
    return SampleSeries(
        name=name,
        repeat=repeat,
        samples=s.samples,
        first=s.first,
        warm_up=len(s.warm_up),
        begin_ns=s.begin_ns,
        end_ns=s.end_ns,
        settled=s.settled,
        stopped=s.stopped.reason,
        timed_out=s.stopped.timeout,
        rate=s.rate,
    )


def _costs(timed: Timed, one: Missing, outcomes: Sequence[Outcome]) -> list[Metric]:
    """First run, load time, memory and sizes: medians over the repeats, one sample a child."""
    n, name = len(outcomes), one.scenario.name
    first = median(next(iter(o.series[name].values())).first for o in outcomes)
    peak = max(o.peak_memory_bytes[name] for o in outcomes)
    costs = one.scenario.sizes(timed.plan.artifact.outputs[0].shape[-1], timed.job.settings)
    if one.scenario.alone:
        costs.append(Metric.cost("peak_memory_mib", peak / 2**20, "MiB", n))
    gpus = [window.gpu for o in outcomes for window in o.monitoring.get(name, ()) if window.gpu]
    if gpus:  # up to the end of this scenario
        costs.append(Metric.cost("device_memory_mib", max(gpu.memory_bytes for gpu in gpus) / 2**20, "MiB", n))
    if next(iter(outcomes[0].series)) == name:  # the session is cold only in the first scenario of a child
        costs.append(Metric.cost("first_run_ms", first / 1e6, "ms", n))
    return [
        *costs,
        Metric.cost("load_ms", median(o.load_ns for o in outcomes) / 1e6, "ms", n),
        Metric.cost("onnx_mib", timed.plan.artifact.onnx_bytes / 2**20, "MiB"),
        Metric.cost("plan_mib", timed.plan.plan_bytes / 2**20, "MiB"),
    ]


def _repeat_spread(scenario: Scenario, runs: Runs, settings: Settings) -> list[Metric]:
    """(largest − smallest) / median of the main metric over the repeats, in percent; nothing of what has none."""
    mains = [main_metric(scenario.name, run, settings).value for run in runs]
    known = [value for value in mains if value is not None]
    if scenario.once or len(known) < len(mains):
        return []
    spread = 100 * (max(known) - min(known)) / median(known)
    return [Metric.cost("repeat_spread_percent", spread, "%", len(runs))]
