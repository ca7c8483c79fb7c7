"""What a step of the check of a GPU came to: one file a step, rewritten with everything that the step measures."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import msgspec

from bench.figures.figure import Figure
from bench.records.parts import Environment
from export.store import write_atomic

State = Literal["done", "cut", "skipped", "failed"]


@dataclass(frozen=True)
class Result:
    """A step: how it ended, and what it found until then.

    Attributes:
        state: "cut" is a step that was ended before it was through, "skipped" one that cannot run here.
        why: the reason, of every state but "done".
        of: a hash of what the result depends on; a finished step is not run again while it is the same.
        seconds: wall time that it took.
        lines: what it found, name → sentence. figures: what it measured.
        environment: the machine, its driver and its libraries, as the step saw them.
    """

    step: str
    state: State
    why: str = ""
    of: str = ""
    seconds: float = 0.0
    lines: dict[str, str] = field(default_factory=dict)
    figures: tuple[Figure, ...] = ()
    environment: Environment | None = None


def place(folder: Path, step: str) -> Path:
    """The file of a step's result."""
    return folder / "steps" / f"{step}.json"


def read(folder: Path, step: str) -> Result | None:
    """A step's result; None where there is none that can be read."""
    try:
        return msgspec.json.decode(place(folder, step).read_bytes(), type=Result)
    except (OSError, msgspec.DecodeError):
        return None


def write(folder: Path, result: Result) -> None:
    """Write a step's result, whole or not at all."""
    write_atomic(place(folder, result.step), msgspec.json.format(msgspec.json.encode(result), indent=1))


class Notes:
    """A result while its step runs. Whatever happens to the process, the file has what was found until then."""

    def __init__(self, folder: Path, result: Result) -> None:
        self._folder, self.result = folder, result
        write(folder, result)

    def line(self, name: str, text: str) -> None:
        """A sentence; one of the same name is replaced."""
        self.become(replace(self.result, lines=self.result.lines | {name: text}))

    def figure(self, one: Figure) -> None:
        """A figure more."""
        self.become(replace(self.result, figures=(*self.result.figures, one)))

    def become(self, result: Result) -> None:
        """Another result in its place."""
        self.result = result
        write(self._folder, result)
