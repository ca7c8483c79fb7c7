"""How a field of a sweep is asked for, on the command line and in the documentation."""

from __future__ import annotations

from dataclasses import dataclass

WHAT = "what to run"
HOW = "how to run it"
GROUPS = (WHAT, HOW)
"""The groups of fields, in the order of help texts."""


@dataclass(frozen=True)
class Option:
    """How a field is asked for.

    Attributes:
        group: one of :data:`GROUPS`.
        metavar: what stands for its value in help texts.
        help: what it is, the same on the command line and in the documentation.
        repeatable: on the command line it is given once for each value; other lists are separated by commas.
        names: the names that it takes, for completion; or ``"module:attribute"`` of them, or of what returns them.
    """

    group: str
    metavar: str
    help: str
    repeatable: bool = False
    names: str | tuple[str, ...] = ()


def what(metavar: str, help: str, names: str | tuple[str, ...] = (), repeatable: bool = False) -> dict[str, Option]:
    """The metadata of a field that says what to run."""
    return {"option": Option(WHAT, metavar, help, repeatable, names)}


def how(metavar: str, help: str) -> dict[str, Option]:
    """The metadata of a field that says how to run it."""
    return {"option": Option(HOW, metavar, help)}
