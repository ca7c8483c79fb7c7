"""A trap, what the harness answered to it, and how one is sprung."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from io import StringIO
from typing import TYPE_CHECKING, Literal

from bench.records.parts import Failure
from export.errors import UserError

if TYPE_CHECKING:
    from bench.sabotage.bed import Bed

Area = Literal["timing", "artifacts and engines", "preprocessing", "scoring", "energy"]
Kind = Literal["refused", "flagged", "unmoved"]
"""refused: there is no number. flagged: the number is marked. unmoved: the number is what it would be without."""


class NotInjected(Exception):
    """The injection had no effect even on a naive harness, so that nothing was tested."""


class Through(Exception):
    """The harness took the bait: it gave a number that the injection had moved, and said nothing."""


@dataclass(frozen=True)
class Answer:
    """What the harness did.

    Attributes:
        said: its own sentence or flag; or the numbers with and without the injection.
        bites: what the same injection does to a naive harness.
    """

    kind: Kind
    said: str
    bites: str


@dataclass(frozen=True)
class Trap:
    """One way to get a wrong number.

    Attributes:
        name: for the command line, unique. number: of the list in ``docs/traps.md``; several traps may have one.
        title: what goes wrong, in the field's words. injected: how it is provoked here.
        expected: what the harness has to answer.
        spring: injects it, and looks at what the harness does.
    """

    name: str
    number: int
    area: Area
    title: str
    injected: str
    expected: Kind
    spring: Callable[[Bed], Answer]


@dataclass(frozen=True)
class Traps:
    """The traps of one area, in the order of their functions."""

    area: Area
    all: list[Trap] = field(default_factory=list)

    def add(
        self, name: str, number: int, title: str, injected: str, expected: Kind
    ) -> Callable[[Callable[[Bed], Answer]], Callable[[Bed], Answer]]:
        """Decorates the function that springs a trap; see :class:`Trap`."""

        def added(spring: Callable[[Bed], Answer]) -> Callable[[Bed], Answer]:
            self.all.append(Trap(name, number, self.area, title, injected, expected, spring))
            return spring

        return added


@dataclass(frozen=True)
class Sprung:
    """How one went.

    Attributes:
        answer: None where there is none. trouble: why: the trap got through, was not injected, or something broke.
    """

    trap: Trap
    answer: Answer | None
    trouble: str
    seconds: float

    @property
    def caught(self) -> bool:
        return self.answer is not None and self.answer.kind == self.trap.expected


def spring(trap: Trap, bed: Bed) -> Sprung:
    """Spring one trap; what it raises is how it went."""
    begin, answer, trouble = time.monotonic(), None, ""
    try:
        with redirect_stderr(StringIO()):
            answer = trap.spring(bed)
        if answer.kind != trap.expected:
            trouble = f"{answer.kind}, where {trap.expected} was expected"
    except Through as error:
        trouble = f"got through: {error}"
    except NotInjected as error:
        trouble = f"not injected: {error}"
    except Exception as error:
        failure = Failure.of(error)
        trouble = f"{failure.what} {failure.why}\n{failure.traceback}".strip()
    return Sprung(trap, answer, trouble, time.monotonic() - begin)


def require_bite(bites: bool, what: str) -> None:
    """Refuse an injection that would not have fooled anybody.

    Raises:
        NotInjected: it does not bite.
    """
    if not bites:
        raise NotInjected(what)


def require(held: bool, what: str) -> None:
    """The harness held.

    Raises:
        Through: it did not; ``what`` it gave instead.
    """
    if not held:
        raise Through(what)


def refusal(attempt: Callable[[], object]) -> str:
    """The sentence with which the harness refuses an attempt.

    Raises:
        Through: it does not refuse.
    """
    try:
        found = attempt()
    except UserError as error:
        return f"{error.what} {error.why}".strip()
    raise Through(f"no error, but {str(found)[:200]}")
