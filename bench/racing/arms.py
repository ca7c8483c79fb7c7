"""From a sweep's cells to the arms of a race, and rung 0: which of them need not run, known without a download."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.racing.costs import Budget, Outlook, arm_of
from bench.sweep.cells import Planned
from export.errors import UserError
from export.spec import Precision
from export.store import Store
from export.zoo import weights


@dataclass(frozen=True)
class Arm:
    """A backbone at one input size: its cells, of which one races.

    Attributes:
        reference: in fp32 (or a finished file's own precision), on the sweep's first engine that runs here.
        cells: all that can run here, the reference among them.
        outlooks: for each of them whether it is within the budget, as far as is known.
    """

    reference: Planned
    cells: tuple[Planned, ...]
    outlooks: tuple[Outlook, ...]

    @property
    def name(self) -> str:
        return named(self.reference)

    @property
    def open(self) -> list[Planned]:
        """The cells that may be within the budget."""
        return [cell for cell, one in zip(self.cells, self.outlooks, strict=True) if one.standing != "beyond"]

    @property
    def able(self) -> bool:
        """Whether the accuracy of the reference may be had within the budget."""
        return any(precise(cell) for cell in self.open)


@dataclass(frozen=True)
class Left:
    """An arm that never ran, and why; ``kind`` groups them."""

    name: str
    kind: str
    why: str


BEYOND = "beyond the budget by a measured cost"
PREDICTED = "beyond the budget by a predicted cost"
NO_WEIGHTS = "no weights here"
MINUTES = "no minutes left"
UNTRAINED = "random weights"
NO_ENGINE = "no engine runs it in fp32"
FAILED = "failed"


def named(planned: Planned) -> str:
    """What tables call an arm."""
    return planned.cell.network


def precise(planned: Planned) -> bool:
    """Whether a cell computes what its arm's reference does, to five digits."""
    return planned.finished or planned.precision is Precision.FP32


def rung_0(cells: Sequence[Planned], budget: Budget) -> tuple[list[Arm], list[Left]]:
    """The arms that may be within the budget, the smallest networks first, and those that need not run.

    An arm leaves where every cell of it is surely beyond the budget. Nothing is opened or downloaded.
    """
    groups: dict[object, list[Planned]] = {}
    for cell in cells:
        if cell.engine.computes:
            groups.setdefault(arm_of(cell.cell), []).append(cell)
    arms, left = [], []
    for group in groups.values():
        able = [cell for cell in group if cell.availability.ok]
        name = named(group[0])
        reference = next((cell for cell in able if precise(cell)), None)
        if group[0].backbone.untrained:
            left.append(Left(name, UNTRAINED, "random weights are timed, never scored"))
        elif reference is None:
            left.append(Left(name, NO_ENGINE, group[0].availability.reason))
        else:
            arm = Arm(reference, tuple(able), tuple(budget.outlook(cell.cell) for cell in able))
            if arm.open:
                arms.append(arm)
            else:
                predicted = any(one.predicted for one in arm.outlooks)
                nearest = arm.outlooks[0]
                left.append(Left(name, PREDICTED if predicted else BEYOND, nearest.why))

    def size(arm: Arm) -> float:
        found = budget.size(arm.reference.cell)
        return found.gmacs if found else 0.0

    return sorted(arms, key=lambda arm: (size(arm) or math.inf, arm.name)), left


def with_weights(arms: Sequence[Arm], store: Store) -> tuple[list[Arm], list[Left]]:
    """The arms whose weights are here or can be had.

    Raises:
        UserError: no arm has weights.
    """
    here: list[Arm] = []
    left: list[Left] = []
    for arm in arms:
        try:
            weights.fetch(arm.reference.backbone, store)
        except UserError as error:
            left.append(Left(arm.name, NO_WEIGHTS, error.what))
        else:
            here.append(arm)
    if not here:
        raise UserError(
            "No backbone has weights here.",
            "; ".join(one.why for one in left[:2]),
            "--weights MODEL=FILE, or a network that reaches the model hub",
        )
    return here, left
