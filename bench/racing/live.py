"""A race on photographs: features as they are needed, k-NN, a budget of minutes, and the finals."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bench.racing.arms import FAILED, MINUTES, Arm, Left, precise
from bench.racing.costs import arm_of, holds, measured, worth_scoring
from bench.racing.elimination import Bools, Elimination
from bench.racing.outputs import Outputs
from bench.racing.race import Fit
from bench.racing.rungs import ordered, rungs
from bench.records.record import TimingRecord
from bench.records.results import Results
from bench.sweep import gate, pipeline
from bench.sweep.assembly import Assembly
from bench.sweep.cells import Planned
from bench.sweep.desk import Desk
from bench.sweep.view import targets
from bench.verdict.picking import Limit
from bench.verdict.ranking import LATENCY
from export.errors import OutOfSpace, UserError, first_line
from export.progress import say
from tasks.base import Labels
from tasks.data.base import DataSet, Sample
from tasks.scoring.features import l2_normalized
from tasks.scoring.neighbours import K, predict
from tasks.scoring.requirements import require_fittable, require_judgeable

CHILD_SECONDS = 6.0
"""What a timing's child process takes besides the measuring itself, about."""
LOWERING_SECONDS = 30.0
"""What it takes to make a file of a lower precision, about."""


@dataclass
class Live:
    """The course of a live race.

    Attributes:
        arms: those that run, once :meth:`qualify` has said so.
        until: on the clock, when the minutes are up.
        images: run through engines now.
        never: arms that did not run. costs: of finalists' cells, by column.
        scored: cells that the finals scored.
    """

    data: DataSet
    limits: Sequence[Limit]
    desk: Desk
    until: float
    seed: int = 0
    tally: pipeline.Tally = field(default_factory=pipeline.Tally)
    clock: Callable[[], float] = time.monotonic
    arms: list[Arm] = field(default_factory=list)
    never: list[Left] = field(default_factory=list)
    costs: list[dict[str, float]] = field(default_factory=list)
    scored: list[Planned] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)
    ran: int = 0
    _outputs: dict[int, Outputs] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_fittable(_labels(self.data, "train"), _labels(self.data, "val"))
        require_judgeable(_labels(self.data, "train"), _labels(self.data, "test"))
        self.order: list[Sample] = ordered(self.data, self.seed)
        self.train = self.data.split("train")
        self.rungs = rungs(len(self.order))

    # -- which arms there is time for --------------------------------------------------------------------------------

    def qualify(self, arms: Sequence[Arm]) -> None:
        """Show each arm the first rung's test images, and take those for whose training images there is time too.

        Raises:
            UserError: there is time for none.
        """
        first, needed = self.order[: self.rungs[0]], 0.0
        for number, arm in enumerate(arms):
            if self.arms and self._left() < needed + self.reserve:
                self.never += [Left(one.name, MINUTES, "not begun") for one in arms[number:]]
                break
            say(f"[{number + 1}/{len(arms)}] {arm.name}")
            outputs = self._opened(arm)
            if outputs is None:
                continue
            try:
                outputs.of(first)
            except UserError as error:
                self._failed(arm, error)
                continue
            own = outputs.pace * outputs.missing(self.train)
            self._outputs[len(self.arms)] = outputs
            self.arms.append(arm)
            if self._left() < needed + own + self.reserve:
                if len(self.arms) == 1:
                    raise UserError(
                        "The minutes are too few for one rung.",
                        f"{arm.name} alone needs about {(own + self.reserve) / 60:.1f} minutes for {len(self.train):,} "
                        f"training images and its cost; {max(0.0, self._left()) / 60:.1f} are left.",
                        "more --minutes, or fewer images with --limit N",
                    )
                self.arms.pop()
                self._outputs.pop(len(self.arms))
                self.never.append(Left(arm.name, MINUTES, f"its training images need {own / 60:.1f} minutes"))
                continue
            needed += own
        if not self.arms:
            failed = next((one for one in self.never if one.kind == FAILED), None)
            raise UserError("No backbone could run.", failed.why if failed else "", "bob run --dry-run")

    @property
    def reserve(self) -> float:
        """Seconds that the finals of one arm take, about."""
        if not self.arms:
            return 0.0
        pace = float(np.mean([one.pace for one in self._outputs.values()]))
        return self._finals(self.arms[0], pace)

    def _finals(self, arm: Arm, pace: float) -> float:
        sweep = arm.reference.sweep
        cells = len(arm.open)
        timing = sweep.repeats * (len(sweep.scenarios) * sweep.seconds + CHILD_SECONDS)
        lowering = LOWERING_SECONDS * sum(not precise(cell) for cell in arm.open)
        return lowering + cells * timing + max(0, cells - 1) * pace * len(self.data.samples)

    def _left(self) -> float:
        return self.until - self.clock()

    # -- the course (bench.racing.race) ------------------------------------------------------------------------------

    def may(self, arms: Sequence[int], images: int) -> bool:
        """Whether the rung's images are done in time, by what the last ones took, and the finals of one arm after. The
        first rung's are: the arms were chosen so (:meth:`qualify`)."""
        needed = 0.0
        for arm in arms:
            own = self._outputs[arm]
            needed += own.pace * (own.missing(self.train) + own.missing(self.order[:images]))
        fits = images == self.rungs[0] or self._left() >= needed + self.reserve
        say(f"rung to {images} test images: {len(arms)} backbones, about {needed:.0f} s, {self._left():.0f} s left")
        if not fits:
            self.undone.append(
                f"Left undone: {len(arms)} backbones on {images} test images, about {needed / 60:.1f} minutes more."
            )
        return fits

    def answers(self, arm: int, images: int) -> Bools | None:
        """Right or wrong by the task knn: weighted vote of the nearest training images."""
        own, shown = self._outputs[arm], self.order[:images]
        try:
            gallery, queries = (l2_normalized(own.of(samples)) for samples in (self.train, shown))
        except OutOfSpace:
            raise
        except UserError as error:
            self._failed(self.arms[arm], error)
            return None
        labels = np.array([sample.label for sample in self.train], np.int64)
        k = min(K, len(self.train))
        [found] = predict(gallery, labels, queries, [k], len(self.data.classes))
        return np.asarray(found == [sample.label for sample in shown])

    def told(self, elimination: Elimination) -> None:
        """Say who left, and why."""
        who, by = (self.arms[arm].name for arm in (elimination.arm, elimination.by))
        say(
            f"  out: {who}, after {elimination.seen} test images: {by} is {elimination.points:.1f} points better "
            f"({elimination.wins} images against {elimination.losses})"
        )

    def measure(self, arm: int) -> Fit | None:
        """Time the cells that may be within the budget; score those that are, and that may be the one to ship."""
        own, outputs = self.arms[arm], self._outputs[arm]
        if self._left() < self._finals(own, outputs.pace) and self.scored:
            self.undone.append(f"Left undone: the cost of {own.name} was not measured.")
            return None
        say(f"finals: {own.name}, {len(own.open)} cells")
        timed = [replace(cell, sweep=replace(cell.sweep, tasks=())) for cell in own.open]
        self._run(timed)
        costs, sound = self._costs(own)
        self.costs += [dict(one) for one in costs.values()]
        inside = {kind: one for kind, one in costs.items() if holds(self.limits, one)}
        wanted = worth_scoring({kind: inside[kind].get(LATENCY) for kind in inside if kind in sound})
        cells = [
            cell for cell in own.open if _kind(cell) in wanted or (cell is own.reference and _kind(cell) in inside)
        ]
        if not cells:
            say(f"  {own.name} {'is beyond the budget' if costs else 'could not be timed'}")
            return "unfit"
        if own.reference in cells:
            outputs.publish()
        self.ran += sum(len(self.data.samples) for cell in cells if cell is not own.reference)
        self._run(cells)
        self.scored += cells
        return "able" if any(precise(cell) for cell in cells) else "lowered"

    @property
    def images(self) -> int:
        """Images run through engines in this race."""
        return self.ran + sum(outputs.computed for outputs in self._outputs.values())

    # -- parts -------------------------------------------------------------------------------------------------------

    def _opened(self, arm: Arm) -> Outputs | None:
        planned = arm.reference
        try:
            plan = planned.plan(planned.throughput)
            parity = gate.check(planned.engine, plan, planned.store)
        except OutOfSpace:
            raise
        except Exception as error:  # a bug of one backbone's is its own result
            self._failed(arm, error)
            return None
        if parity and not parity.passed:
            self.never.append(Left(arm.name, FAILED, "fails parity with the eager module"))
            return None
        return Outputs(planned, plan, self.data)

    def _failed(self, arm: Arm, error: BaseException) -> None:
        why = error.what if isinstance(error, UserError) else first_line(error)
        say(f"  {arm.name} failed: {why}")
        self.never.append(Left(arm.name, FAILED, why))

    def _run(self, cells: Sequence[Planned]) -> None:
        tally = pipeline.run(Assembly(tuple(cells), (self.data,)), self.desk)
        self.tally.failed += tally.failed
        self.tally.bugs += tally.bugs

    def _costs(self, arm: Arm) -> tuple[dict[tuple[str, str], dict[str, float]], set[tuple[str, str]]]:
        """The measured costs of an arm's cells by engine and precision, and which of these pass parity."""
        keys = {cell.plan_key for cell in arm.open if not cell.trouble}
        own = [
            r
            for r in Results.load(self.desk.folder).records
            if isinstance(r, TimingRecord) and r.keys.plan in keys and arm_of(r.cell) == arm_of(arm.reference.cell)
        ]
        costs = {(m.cell.engine, m.cell.precision): dict(m.costs) for m in measured(own, self.desk.machine)}
        broken = {(r.cell.engine, r.cell.precision) for r in own if r.parity and not r.parity.passed}
        return costs, costs.keys() - broken


def _kind(planned: Planned) -> tuple[str, str]:
    return planned.cell.engine, planned.cell.precision


def _labels(data: DataSet, split: str) -> Labels:
    found = targets(data, split)  # type: ignore[arg-type]
    assert isinstance(found, Labels), "only sets of labels are raced on"
    return found
