"""What a race ends with: what is left, how sure that is, what it took, and what was never looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.racing.arms import Left
from bench.racing.race import End
from bench.verdict.lines import wrapped

ENDS: dict[End, str] = {
    "one left": "one backbone was left",
    "practically equal": "what is left is practically equal",
    "all test images": "all test images were seen",
    "minutes": "the minutes were up",
    "nobody": "no backbone was left",
}


@dataclass(frozen=True)
class Out:
    """A backbone that was eliminated: by which, after how many test images, by how many points on these."""

    name: str
    by: str
    seen: int
    points: float
    chance: float

    def __str__(self) -> str:
        return f"{self.name} left after {self.seen} test images: {self.by} is {self.points:.1f} points better"


@dataclass(frozen=True)
class Stayed:
    """A backbone that is left: percent right of ``seen`` test images by its reference cell, and whether its cells were
    measured."""

    name: str
    percent: float
    seen: int
    measured: bool


@dataclass(frozen=True)
class Certificate:
    """The end of a race.

    Attributes:
        data, task, reference: what was raced on, by what, and which cells (engine and precision).
        delta, tolerance: the stated error budget, and points that are practically equal.
        end: why no more test images were shown. test: how many there are; seen: were shown.
        left: still in, the best first. eliminated: in order.
        unfit: finalists whose measured cost breaks the budget.
        never: backbones that never ran. undone: what the minutes did not suffice for, in sentences.
        images: run through engines now. swept: what the exhaustive sweep of the same cells runs.
        minutes: spent. asked: given.
        remarks: how good predictions are.
    """

    data: str
    task: str
    reference: str
    delta: float
    tolerance: float
    limits: tuple[str, ...]
    end: End
    test: int
    seen: int
    left: tuple[Stayed, ...]
    eliminated: tuple[Out, ...]
    unfit: tuple[str, ...]
    never: tuple[Left, ...]
    undone: tuple[str, ...]
    images: int
    swept: int
    minutes: float
    asked: float
    remarks: tuple[str, ...] = ()

    @property
    def claim(self) -> str:
        """What is certain, and how certain."""
        sure = 1 - self.delta
        what = f"the most accurate by {self.task} of those that ran ({self.reference}, all {self.test} test images)"
        if self.limits:
            what += " that the budget allows"
        return (
            f"With probability ≥ {sure:.0%} {what} is among those left, or one within {self.tolerance:g} points of it; "
            "the chance is over the order of the test images."
        )

    def lines(self) -> list[str]:
        """As a terminal shows it."""
        text = [f"left after {self.seen} of {self.test} test images of {self.data} ({ENDS[self.end]}):"]
        for one in self.left:
            note = "" if one.measured else ", cost not measured"
            text.append(f"  {one.name}: {one.percent:.1f} % right of {one.seen}{note}")
        text += wrapped(self.claim)
        text.append(
            f"{self.images:,} images run through engines now, {self.images / max(1, self.swept):.0%} of the "
            f"{self.swept:,} of the exhaustive sweep; {self.minutes:.1f} of {self.asked:g} minutes"
        )
        if self.unfit:
            text += wrapped(f"beyond the budget once measured: {', '.join(self.unfit)}")
        kinds = dict.fromkeys(one.kind for one in self.never)
        for kind in kinds:
            names = [one.name for one in self.never if one.kind == kind]
            text += wrapped(f"never ran, {kind}: {len(names)} ({_few(names)})")
        for line in (*self.undone, *self.remarks):
            text += wrapped(line)
        return text

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self) | {"claim": self.claim, "probability": 1 - self.delta}


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (", …" if len(names) > 6 else "")
