"""The page to read first: how a sweep becomes records. One stage a line, and no branch on a name.

backbone ─▶ artifact ─▶ plan ─▶ parity ─▶ outputs ─▶ fit ─▶ judge ─▶ score record
                          └────▶ scenarios, in child processes ─▶ timing records

A deployed head makes one more turn before it is judged: backbone and head ─▶ artifact ─▶ plan ─▶ parity ─▶ outputs.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.records.asked import Asked
from bench.records.parts import Failure
from bench.records.record import Record
from bench.sweep import history, passes, pictures, thumbnails, timing
from bench.sweep.assembly import Assembly
from bench.sweep.cells import Planned
from bench.sweep.desk import Desk
from bench.sweep.looks import Looks
from bench.sweep.scoring import Scoring
from export.errors import UserError, first_line
from export.progress import say
from tasks.base import Task
from tasks.data.base import DataSet

ENDS = passes.ENDS
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
    history.keep(desk.folder, sweep.cells[0].sweep)
    thumbnails.keep(sweep.cells, sweep.data, desk.pictures)
    tally = Tally()
    timed: list[timing.Timed] = []
    sound: list[Planned] = []
    scored = glanced = 0
    for number, asked in enumerate(sweep.cells, 1):
        planned = of_a_sound_file(asked, sound)
        say(f"[{number}/{len(sweep.cells)}] {planned.cell}")
        try:
            require_available(planned)
            if planned.backbone.depth and (group := passes.depths_of(planned, sweep.cells))[0] is planned:
                passes.read_once(group, sweep.data, desk)
            score(planned, sweep.data, desk, tally)
        except ENDS:
            raise
        except BaseException as error:  # a bug in one cell is that cell's result, not the sweep's end
            give_up(owed(planned, sweep.data, desk), error, desk, tally)
            continue
        try:
            timed += timing.prepare(planned, sweep.data[:1], desk)
        except ENDS:
            raise
        except BaseException as error:
            give_up(timings(planned, sweep.data, desk, keyed=True), error, desk, tally)
            continue
        sound.append(planned)
        scored += planned.scored
        if looks and number < len(sweep.cells) and looks.due(scored):
            look(looks, scored, timing.glance(timed[glanced:], desk))
            glanced = len(timed)
    for failure in timing.run(timed, desk):
        tally.count(failure)
    return tally


def require_available(planned: Planned) -> None:
    """Leave out a cell whose engine does not run here, or not in its precision.

    Raises:
        Skip: it does not; the reason is the engine's own.
    """
    found = planned.availability
    if not found.ok:
        raise Skip(f"{planned.cell.engine} cannot run {planned.precision} here.", found.reason, found.remedy)


def of_a_sound_file(planned: Planned, sound: Sequence[Planned]) -> Planned:
    """The cell; the baseline, which would compute nothing of any backbone, with the first whose cell did not fail."""
    if planned.engine.computes or not sound or any(one.backbone == planned.backbone for one in sound):
        return planned
    first = sound[0]
    return replace(first, engine=planned.engine, availability=planned.availability)


def look(looks: Looks, scored: int, measured: Sequence[Record]) -> None:
    """Show the table so far; one that cannot be shown costs no cell."""
    try:
        looks.show(scored, measured)
    except Exception as error:
        say(f"no table yet: {error.what if isinstance(error, UserError) else first_line(error)}")


def score(
    planned: Planned, data: Sequence[DataSet], desk: Desk, tally: Tally, scoring: type[Scoring] = Scoring
) -> None:
    """Score one cell with every task on every data set that is not finished."""
    if wanted := due(planned, data, desk, tally):
        with scoring(planned, wanted) as opened:
            opened.open()
            judge(opened, wanted, desk, tally)


def due(planned: Planned, data: Sequence[DataSet], desk: Desk, tally: Tally) -> list[tuple[DataSet, Task]]:
    """The scores of a cell that are not finished; those that it never has become records that say why."""
    found: list[tuple[DataSet, Task]] = []
    left: dict[str, list[Asked]] = {}
    for images, scorer in planned.owed(data):
        if why := planned.unscored(scorer):
            left.setdefault(why, []).append(desk.score(planned, images, scorer))
        elif not desk.finished(planned.score_key(images, scorer)):
            found.append((images, scorer))
    for why, asked in left.items():
        give_up(asked, Skip(why), desk, tally)
    return found


def judge(scoring: Scoring, wanted: Sequence[tuple[DataSet, Task]], desk: Desk, tally: Tally) -> None:
    """Make the scores of an open cell one by one; what fails is that score's."""
    for images, scorer in wanted:
        one = desk.score(scoring.planned, images, scorer)
        try:
            _score(scoring, images, scorer, one, desk)
        except ENDS:
            raise
        except BaseException as error:
            say(f"  {scorer.meta.name} on {images.name} failed")
            give_up([one], error, desk, tally)


def _score(scoring: Scoring, images: DataSet, scorer: Task, asked: Asked, desk: Desk) -> None:
    begin = time.perf_counter()
    planned, own = scoring.planned, scoring.planned.fit_key(images, scorer)
    key = planned.score_key(images, scorer)
    fit = scoring.fitted(images, scorer)
    judged = scoring.judged(images, scorer, fit)
    found = scorer.judge(fit, judged.test)
    plan = judged.plan
    record = asked.done(
        key,
        tuple(found.metrics),
        per_sample=[float(v) for v in found.per_sample],
        per_draw=[float(v) for v in found.per_draw],
        chosen=dict(fit.chosen),
        sweep=[dict(row) for row in fit.sweep],
        by_class=[dict(row) for row in found.by_class],
        extraction=scoring.extraction(images, scorer),
        keys=replace(
            planned.keys(plan),
            joint=plan.key if scorer.meta.head == "deployed" else "",
            features=tuple(planned.judged_keys(images, scorer)),
            fit=own,
        ),
        about=replace(planned.about(plan.artifact), taps=judged.taps),
        parity=judged.parity,
        arithmetic=plan.arithmetic,
        emulated=plan.emulated,
        picture=pictures.draw(
            scorer, fit, judged.test, found, images, desk.pictures / planned.score_key(images, scorer)
        ),
        seconds=time.perf_counter() - begin,
    )
    desk.keep(record, asked)
    far = ", which fails parity with the eager module" if judged.parity and not judged.parity.passed else ""
    say(f"  {scorer.meta.name} on {images.name}: {found.main.name} {found.main.value:.2f} {found.main.unit}{far}")


def scores(planned: Planned, data: Sequence[DataSet], desk: Desk, keyed: bool) -> list[Asked]:
    """The scores that a cell owes; where its keys are known (``keyed``), without those that are finished."""
    return [
        desk.score(planned, images, scorer)
        for images, scorer in planned.owed(data)
        if not (keyed and desk.finished(planned.score_key(images, scorer)))
    ]


def timings(planned: Planned, data: Sequence[DataSet], desk: Desk, keyed: bool) -> list[Asked]:
    """The timings likewise."""
    return [
        desk.timing(planned, data[0], timed, head)
        for timed, head in planned.timed(data)
        if not (keyed and desk.finished(planned.timing_key(data[0], timed, desk.machine, head)))
    ]


def owed(planned: Planned, data: Sequence[DataSet], desk: Desk) -> list[Asked]:
    """All of both; what is finished is left out as far as the cell's keys are known."""
    keyed = "plan_key" in vars(planned)
    return [*scores(planned, data, desk, keyed), *timings(planned, data, desk, keyed)]


def give_up(missing: Sequence[Asked], error: BaseException | Failure, desk: Desk, tally: Tally) -> None:
    """Write a record with the reason for each result that is missing."""
    failure = error if isinstance(error, Failure) else Failure.of(error)
    skipped = isinstance(error, Skip)
    if missing:
        say(f"  {'skipped' if skipped else 'failed'}: {error if isinstance(error, UserError) else failure.what}")
    for asked in missing:
        desk.keep(asked.gave_up(failure, "skipped" if skipped else "failed"), asked)
        if not skipped:
            tally.count(failure)
