"""Races over a finished sweep's records: what the race would have found and spent, beside what the sweep found.

Answers come from each score's parts by test image, and costs from the timings; the elimination is the live race's own.
Before the finals a backbone's own timings are not looked at: rung 0 predicts its costs from the other backbones'.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from bench.racing.costs import Budget, Kind, Measured, arm_of, holds, measured, worth_scoring
from bench.racing.elimination import Bools, Elimination, Stakes
from bench.racing.nearest import nothing_within
from bench.racing.race import Fit, Race
from bench.racing.rungs import rungs
from bench.records.parts import TaskSubject
from bench.records.record import ScoreRecord
from bench.records.results import Results, machine_id
from bench.verdict.picking import Limit
from bench.verdict.ranking import LATENCY
from bench.verdict.row import Row
from bench.verdict.table import rows as rows_of
from export.errors import UserError, unknown
from export.spec import Precision

REFERENCE = str(Precision.FP32)


@dataclass(frozen=True)
class Runner:
    """One arm of a replay.

    Attributes:
        name: of the backbone, and its input where that was asked for.
        reference: the cell that races. cells: all of them that are sound, the reference among them.
    """

    name: str
    reference: Row
    cells: tuple[Row, ...]


@dataclass(frozen=True, eq=False)
class Field:
    """One task on one data set of a finished sweep, as a race sees it.

    Attributes:
        arms: in the order of names. swept: cells that the sweep scored, those that failed parity among them.
        engine: of the cells that race.
    """

    setting: str
    subject: TaskSubject
    engine: str
    arms: tuple[Runner, ...]
    swept: int
    known: tuple[Measured, ...]

    @property
    def images(self) -> int:
        """Images that the sweep ran through each of its cells."""
        return self.subject.n_train + self.subject.n_val + self.subject.n_test

    def right(self, row: Row) -> Bools:
        """Which test images a cell gets right, bool [n]."""
        return np.array(row.scores[self.setting].per_sample) > 50

    def value(self, row: Row) -> float:
        """Percent right of all test images."""
        return 100 * float(self.right(row).mean())

    @cached_property
    def _costs(self) -> dict[object, Mapping[str, float]]:
        return {(arm_of(m.cell), m.cell.engine, m.cell.precision): m.costs for m in self.known}

    def cost(self, row: Row) -> Mapping[str, float]:
        """What a cell costs, by column; nothing where it was not timed."""
        return self._costs.get((arm_of(row.cell), *_kind(row)), {})

    def within(self, row: Row, limits: Sequence[Limit]) -> bool:
        """Whether a cell is within the budget, by its own timings."""
        return bool(holds(limits, self.cost(row)))


def fields(results: Results) -> Iterator[Field]:
    """The races that can be run over a folder's records: of every task with right or wrong for each image.

    Raises:
        UserError: no score has results by test image, none is right or wrong, or one backbone alone has one.
    """
    found, _ = rows_of(results)
    sound = [row for row in found if row.judge()[0] == "ok" and row.scores]
    scored = {name for row in found for name in row.scores}
    if not any(record.per_sample for row in sound for record in row.scores.values()):
        raise UserError(
            "These records have no results for single test images.",
            "A race compares answers image by image; a table of means does not hold them.",
            "a results folder that bob run wrote",
        )
    machines = {machine_id(r) for row in found for r in row.timings.values()}
    known = tuple(measured(results.records, min(machines))) if machines else ()
    any_field = False
    for name in sorted(scored):
        having = [row for row in sound if name in row.scores and _binary(row.scores[name])]
        references = [row for row in having if row.cell.precision == REFERENCE]
        if not references:
            continue
        engines = [row.cell.engine for row in references]
        engine = min(set(engines), key=lambda e: (-engines.count(e), e))
        arms = tuple(
            Runner(
                row.cell.network,
                row,
                tuple(other for other in having if arm_of(other.cell) == arm_of(row.cell)),
            )
            for row in references
            if row.cell.engine == engine
        )
        subject = arms[0].reference.scores[name].subject
        if len(arms) > 1:
            any_field = True
            swept = sum(name in row.scores for row in found)
            yield Field(name, subject, engine, arms, swept, known)
    if not any_field:
        raise UserError(
            "There is no race in these records.",
            "It takes two backbones in fp32 with a task that is right or wrong on each image (knn, linear_probe).",
            "bob run --tasks knn --models A,B",
        )


def _kind(row: Row) -> Kind:
    return row.cell.engine, row.cell.precision


def _binary(record: ScoreRecord) -> bool:
    return bool(record.per_sample) and set(record.per_sample) <= {0.0, 100.0}


@dataclass(frozen=True)
class Outcome:
    """One replay.

    Attributes:
        work: images run through engines, of those in the sweep, as a share.
        regret: points of accuracy below the best cell within the budget, on all test images.
        inside: the backbone of that cell is among the finalists.
        held: what the certificate says is true: the arm whose reference cell is the best one that can be had within
            the budget, or one within the tolerance of it, is among the finalists.
        started: arms after rung 0. seen: test images.
    """

    work: float
    regret: float
    inside: bool
    held: bool
    started: int
    finalists: int
    seen: int


@dataclass
class _Replayed:
    """The course that records give."""

    of: Field
    arms: Sequence[Runner]
    order: npt.NDArray[np.int64]
    limits: Sequence[Limit]
    shown: dict[int, int] = field(default_factory=dict)
    scored: list[Row] = field(default_factory=list)
    work: int = 0

    def answers(self, arm: int, images: int) -> Bools:
        before = self.shown.get(arm)
        self.work += images - before if before is not None else self.of.subject.n_train + images
        self.shown[arm] = images
        return np.asarray(self.of.right(self.arms[arm].reference)[self.order[:images]])

    def may(self, arms: Sequence[int], images: int) -> bool:
        return True

    def measure(self, arm: int) -> Fit:
        own = self.arms[arm]
        inside = [row for row in own.cells if self.of.within(row, self.limits)]
        wanted = worth_scoring({_kind(row): self.of.cost(row).get(LATENCY) for row in inside})
        inside = [row for row in inside if row is own.reference or _kind(row) in wanted]
        for row in inside:
            done = row is own.reference
            self.work += self.of.images - (self.of.subject.n_train + self.shown[arm] if done else 0)
        self.scored += inside
        if not inside:
            return "unfit"
        return "able" if any(row.cell.precision == REFERENCE for row in inside) else "lowered"

    def told(self, elimination: Elimination) -> None:
        return None


@lru_cache(maxsize=64)
def starters(field: Field, limits: tuple[Limit, ...]) -> tuple[list[Runner], list[bool]]:
    """The arms that rung 0 leaves, each by a prediction from the others; and which may be had in the reference
    precision, as far as that knows."""
    started, able = [], []
    for arm in field.arms:
        budget = Budget(limits, field.known, unmeasured=frozenset({arm.reference.cell.backbone}))
        standing = [(row, budget.outlook(row.cell).standing) for row in arm.cells]
        if any(one != "beyond" for _, one in standing):
            started.append(arm)
            able.append(any(one != "beyond" for row, one in standing if row.cell.precision == REFERENCE))
    return started, able


def replay(field: Field, limits: Sequence[Limit], delta: float, tolerance: float, seed: int) -> Outcome:
    """One race, with the test images in an order that the seed gives.

    Raises:
        UserError: no cell of the records is within the budget; the message says how near the nearest comes.
    """
    possible = [(arm, row) for arm in field.arms for row in arm.cells if field.within(row, limits)]
    if not possible:
        raise nothing_within(limits, [field.cost(row) for arm in field.arms for row in arm.cells])
    started, able = starters(field, tuple(limits))
    images = field.subject.n_test
    order = np.random.default_rng(seed).permutation(images)
    course = _Replayed(field, started, order, limits)
    race = Race(Stakes(max(1, len(started)), rungs(images), delta, tolerance), course, list(able))
    if started:
        race.run()
    best = max(field.value(row) for _, row in possible)
    reached = max((field.value(row) for row in course.scored), default=0.0)
    left = {started[arm].name for arm in race.measured if arm not in race.unfit}
    deliverable = {
        arm.name: field.value(arm.reference)
        for arm in field.arms
        if any(row.cell.precision == REFERENCE and field.within(row, limits) for row in arm.cells)
    }
    top = max(deliverable.values(), default=0.0)
    return Outcome(
        work=course.work / (field.swept * field.images),
        regret=max(0.0, best - reached),
        inside=any(arm.name in left for arm, row in possible if field.value(row) >= best - 1e-9),
        held=not deliverable
        or any(value >= top - tolerance - 1e-9 for name, value in deliverable.items() if name in left),
        started=len(started),
        finalists=len(left),
        seen=race.seen,
    )


@dataclass(frozen=True)
class Replays:
    """Replays of one task on one data set, one for each order of its test images.

    Attributes:
        cells, arms: of the sweep. test: images.
    """

    setting: str
    cells: int
    arms: int
    test: int
    tolerance: float
    outcomes: tuple[Outcome, ...]

    def mean(self, name: str) -> float:
        """The mean of one field of the outcomes."""
        return float(np.mean([getattr(outcome, name) for outcome in self.outcomes]))


def replays(
    results: Results, limits: Sequence[Limit], delta: float, tolerance: float, seeds: int, tasks: Sequence[str] = ()
) -> list[Replays]:
    """Every race that the records allow, or those of some tasks, each with so many orders.

    Raises:
        UserError: as :func:`fields` and :func:`replay`; or there is no race of one of these tasks.
    """
    found = list(fields(results))
    names = {one.subject.task for one in found}
    for name in tasks:
        if name not in names:
            raise unknown("task of these records", name, names)
    return [
        Replays(
            one.setting,
            one.swept,
            len(one.arms),
            one.subject.n_test,
            tolerance,
            tuple(replay(one, limits, delta, tolerance, seed) for seed in range(seeds)),
        )
        for one in found
        if not tasks or one.subject.task in tasks
    ]
