"""The course of a race: rungs, eliminations, finals. The same code runs photographs live, and records in a replay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from bench.racing.elimination import Bools, Elimination, Stakes, eliminated, settled

End = Literal["one left", "practically equal", "all test images", "minutes", "nobody"]
"""Why a race stopped showing test images."""
Fit = Literal["able", "lowered", "unfit"]
"""What the measured cost of a finalist's cells says: some cell in the reference precision is within the budget; only
cells in a lower one are, whose accuracy the race has not seen; none is."""


class Course(Protocol):
    """What a race is run on."""

    def answers(self, arm: int, images: int) -> Bools | None:
        """Which of the first ``images`` test images an arm gets right, bool [images]; None where it failed."""
        ...

    def may(self, arms: Sequence[int], images: int) -> bool:
        """Whether there is time to show these arms so many test images."""
        ...

    def measure(self, arm: int) -> Fit | None:
        """Measure what the cells of a finalist cost, and score those within the budget; None where time is up."""
        ...

    def told(self, elimination: Elimination) -> None:
        """An arm has left."""
        ...


@dataclass
class Race:
    """A race of arms, by number.

    Attributes:
        able: whose accuracy may be had within the budget, as far as is known: only these eliminate others.
        right: what each arm that has run gets right of the test images that it has seen.
        out: who was eliminated, and by whom. unfit: finalists whose measured cost breaks the budget.
        failed: arms that could not run. measured: finalists whose cost is known.
    """

    stakes: Stakes
    course: Course
    able: list[bool]
    right: dict[int, Bools] = field(default_factory=dict)
    out: dict[int, Elimination] = field(default_factory=dict)
    unfit: set[int] = field(default_factory=set)
    failed: set[int] = field(default_factory=set)
    measured: dict[int, Fit] = field(default_factory=dict)
    end: End = "nobody"
    seen: int = 0

    @property
    def inside(self) -> list[int]:
        """The arms that are still in, the most accurate on the images seen first."""
        gone = self.out.keys() | self.unfit | self.failed
        return sorted(
            (arm for arm in range(self.stakes.arms) if arm not in gone), key=lambda arm: (-self.score(arm), arm)
        )

    def score(self, arm: int) -> float:
        """Percent right of the test images that it has seen; of what has not run, −1."""
        rows = self.right.get(arm)
        return -1.0 if rows is None else 100 * float(rows.mean())

    @property
    def finalists(self) -> list[int]:
        """Of the arms that are still in, those that are measured: the best, and what is practically equal; where the
        minutes were up before, all."""
        left = [arm for arm in self.inside if arm in self.right]
        if self.end in ("one left", "minutes") or not left:
            return left
        best = max((self.score(arm) for arm in left if self.able[arm]), default=self.score(left[0]))
        return [arm for arm in left if self.score(arm) >= best - self.stakes.tolerance - 1e-9]

    def run(self) -> None:
        """Run to the end. A finalist that turns out to break the budget gives back those whom it alone eliminated, and
        the race goes on with them."""
        while True:
            self.end = self._rungs()
            fresh = [arm for arm in self.finalists if arm not in self.measured]
            if not fresh:
                return
            for arm in fresh:
                fit = self.course.measure(arm)
                if fit is None:
                    return
                self.measured[arm] = fit
                if fit == "unfit":
                    self.unfit.add(arm)
                if fit != "able":
                    self.able[arm] = False
                    self.out = {other: how for other, how in self.out.items() if how.by != arm}
                    break  # what it held back may be better than the finalists that follow

    def _rungs(self) -> End:
        for images in self.stakes.rungs:
            inside = self.inside
            behind = [arm for arm in inside if len(self.right.get(arm, ())) < images]
            if behind and not self.course.may(behind, images):
                return "minutes"
            for arm in behind:
                rows = self.course.answers(arm, images)
                if rows is None:
                    self.failed.add(arm)
                else:
                    self.right[arm] = rows
            self.seen = max(self.seen, images)
            for one in eliminated(self._seen(images), self.able, self.stakes):
                self.out[one.arm] = one
                self.course.told(one)
            inside = self.inside
            if len(inside) < 2:
                return "one left" if inside else "nobody"
            if settled(self._seen(images), self.able, self.stakes) is not None:
                return "practically equal" if images < self.stakes.images else "all test images"
        return "all test images"

    def _seen(self, images: int) -> list[Bools | None]:
        inside = set(self.inside)
        return [self.right[arm][:images] if arm in inside else None for arm in range(self.stakes.arms)]
