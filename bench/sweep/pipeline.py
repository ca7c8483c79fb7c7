"""The page to read first: how a sweep becomes records. One stage a line, and no branch on a name.

backbone ─▶ artifact ─▶ plan ─▶ parity ─▶ features ─▶ fit ─▶ judge ─▶ score record
                          └────▶ scenarios, in child processes ─▶ timing records
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.records.asked import Asked
from bench.records.parts import Failure
from bench.records.record import Record
from bench.sweep import gate, timing
from bench.sweep.assembly import Assembly
from bench.sweep.cells import Planned
from bench.sweep.desk import Desk
from bench.sweep.fits import fitted
from bench.sweep.looks import Looks
from bench.sweep.view import View
from export.errors import CellError, OutOfSpace, UserError, first_line
from export.parity import Parity
from export.progress import say
from tasks.base import Task
from tasks.data.base import DataSet

ENDS = (OutOfSpace, KeyboardInterrupt)
"""What ends a sweep. Everything else is one cell's: a library's panic, and a user's module that calls exit, too."""


class Skip(UserError):
    """A result that is left out on purpose: recorded with its reason, not a failure."""


@dataclass
class Tally:
    """How many results of a sweep failed, and how many of these are bugs."""

    failed: int = 0
    bugs: int = 0

    @property
    def exit_code(self) -> int:
        return 3 if self.bugs else 1 if self.failed else 0

    def count(self, failure: Failure) -> None:
        self.failed += 1
        self.bugs += failure.bug


def run(sweep: Assembly, desk: Desk, looks: Looks | None = None) -> Tally:
    """Run what is not finished; every result that was asked for ends in a record.

    A cell that fails, by a bug too, becomes records that say why, and the sweep goes on.

    Args:
        looks: shows the table while cells are still missing. For it the first repeat of the cells that are scored is
            timed early, and counts as their first.

    Raises:
        OutOfSpace: the disk is full; what was finished is kept.
    """
    tally = Tally()
    timed: list[timing.Timed] = []
    sound: list[Planned] = []
    scored = glanced = 0
    for number, asked in enumerate(sweep.cells, 1):
        planned = _of_a_sound_file(asked, sound)
        say(f"[{number}/{len(sweep.cells)}] {planned.cell}")
        try:
            if not planned.availability.ok:
                found = planned.availability
                raise Skip(f"{planned.cell.engine} cannot run {planned.precision} here.", found.reason, found.remedy)
            score(planned, sweep.data, desk, tally)
        except ENDS:
            raise
        except BaseException as error:  # a bug in one cell is that cell's result, not the sweep's end
            keyed = "plan_key" in vars(planned)
            owed = [*_scores(planned, sweep.data, desk, keyed), *_timings(planned, sweep.data, desk, keyed)]
            _give_up(owed, error, desk, tally)
            continue
        try:
            timed += timing.prepare(planned, sweep.data[:1], desk)
        except ENDS:
            raise
        except BaseException as error:
            _give_up(_timings(planned, sweep.data, desk, keyed=True), error, desk, tally)
            continue
        sound.append(planned)
        scored += not planned.unscored
        if looks and number < len(sweep.cells) and looks.due(scored):
            _look(looks, scored, timing.glance(timed[glanced:], desk))
            glanced = len(timed)
    for failure in timing.run(timed, desk):
        tally.count(failure)
    return tally


def _of_a_sound_file(planned: Planned, sound: Sequence[Planned]) -> Planned:
    """The cell; the baseline, which would compute nothing of any backbone, with the first whose cell did not fail."""
    if planned.engine.computes or not sound or any(one.backbone == planned.backbone for one in sound):
        return planned
    first = sound[0]
    return replace(first, engine=planned.engine, availability=planned.availability)


def _look(looks: Looks, scored: int, timings: Sequence[Record]) -> None:
    """Show the table so far; one that cannot be shown costs no cell."""
    try:
        looks.show(scored, timings)
    except Exception as error:
        say(f"no table yet: {error.what if isinstance(error, UserError) else first_line(error)}")


def score(planned: Planned, data: Sequence[DataSet], desk: Desk, tally: Tally) -> None:
    """Score one cell with every task on every data set that is not finished."""
    owed = [(i, t) for i, t in planned.owed(data) if not desk.finished(planned.score_key(i, t))]
    if planned.unscored:
        _give_up([desk.score(planned, i, t) for i, t in owed], Skip(planned.unscored), desk, tally)
        return
    if not owed:
        return
    view = View(planned, planned.plan(planned.throughput))
    parity = gate.check(planned.engine, view.plan, planned.store)
    for images, scorer in owed:
        asked = desk.score(planned, images, scorer)
        try:
            _score(planned, images, scorer, view, parity, asked, desk)
        except ENDS:
            raise
        except BaseException as error:
            say(f"  {scorer.meta.name} on {images.name} failed")
            _give_up([asked], error, desk, tally)


def _score(
    planned: Planned, images: DataSet, scorer: Task, view: View, parity: Parity | None, asked: Asked, desk: Desk
) -> None:
    splits, extraction = view.splits(images, _outputs(planned, scorer, view))
    begin = time.perf_counter()
    own = planned.fit_key(images, scorer)
    fit = fitted(scorer, splits.train, splits.val, planned.sweep.seed, own, planned.store)
    found = scorer.judge(fit, splits.test)
    plan = view.plan
    record = asked.done(
        planned.score_key(images, scorer),
        tuple(found.metrics),
        per_sample=[float(v) for v in found.per_sample],
        per_draw=[float(v) for v in found.per_draw],
        chosen=dict(fit.chosen),
        sweep=[dict(row) for row in fit.sweep],
        extraction=extraction,
        keys=replace(planned.keys(plan), features=tuple(planned.feature_keys(images, scorer.meta.outputs)), fit=own),
        about=planned.about(plan.artifact),
        parity=parity,
        arithmetic=plan.arithmetic,
        emulated=plan.emulated,
        seconds=time.perf_counter() - begin,
    )
    desk.keep(record, asked)
    say(f"  {scorer.meta.name} on {images.name}: {found.main.name} {found.main.value:.2f} {found.main.unit}")


def _outputs(planned: Planned, scorer: Task, view: View) -> list[str]:
    """What is extracted together: the union of what the sweep's tasks read, of what this network has.

    Raises:
        CellError: it lacks what this task reads.
    """
    there = [output.name for output in view.plan.artifact.outputs]
    for name in scorer.meta.outputs:
        if name not in there:
            raise CellError(f"The network has no output {name!r}.", f"It has {', '.join(there)}.")
    read = {name for task in planned.tasks for name in task.meta.outputs}
    return [name for name in there if name in read]


def _scores(planned: Planned, data: Sequence[DataSet], desk: Desk, keyed: bool) -> list[Asked]:
    """The scores that a cell owes; where its keys are known (``keyed``), without those that are finished."""
    return [
        desk.score(planned, images, scorer)
        for images, scorer in planned.owed(data)
        if not (keyed and desk.finished(planned.score_key(images, scorer)))
    ]


def _timings(planned: Planned, data: Sequence[DataSet], desk: Desk, keyed: bool) -> list[Asked]:
    """The timings likewise."""
    return [
        desk.timing(planned, data[0], timed)
        for timed in planned.scenarios
        if not (keyed and desk.finished(planned.timing_key(data[0], timed, desk.machine)))
    ]


def _give_up(owed: Sequence[Asked], error: BaseException, desk: Desk, tally: Tally) -> None:
    """Write a record with the reason for each result that is missing."""
    failure = Failure.of(error)
    skipped = isinstance(error, Skip)
    if owed:
        say(f"  {'skipped' if skipped else 'failed'}: {error if isinstance(error, UserError) else failure.what}")
    for asked in owed:
        desk.keep(asked.gave_up(failure, "skipped" if skipped else "failed"), asked)
        if not skipped:
            tally.count(failure)
