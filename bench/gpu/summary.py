"""The check of a GPU as one document, in Markdown and in JSON: the device and its libraries, how each step ended, what
it measured, and the table.

Pure: it reads what the steps left, and needs no GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.gpu.result import Result
from bench.gpu.steps import STEPS
from bench.records.parts import Environment
from bench.records.results import Results
from bench.verdict.markdown import bullets, table
from bench.verdict.matrix import Matrix, machine_lines, matrix
from export.errors import UserError


@dataclass(frozen=True)
class Summary:
    """All that the check found.

    Attributes:
        head: a line of text each on the device, its driver and the libraries; empty where no step got so far.
        measured: the table; None where no record is there, and ``no_table`` says why.
    """

    head: tuple[str, ...]
    results: tuple[Result, ...]
    measured: Matrix | None
    no_table: str = ""

    @classmethod
    def of(cls, folder: Path, results: Sequence[Result]) -> Summary:
        """What lies in a folder after these steps."""
        seen = [one.environment for one in results if one.environment]
        head = machine_lines(seen[-1]) if seen else ()
        try:
            found = matrix(_of_machine(Results.load(folder), seen[-1] if seen else None))
        except UserError as error:
            return cls(head, tuple(results), None, f"{error.what} {error.why}".strip())
        return cls(head, tuple(results), found)

    @property
    def exit_code(self) -> int:
        """0 done; 1 something failed; 2 nothing could run here."""
        states = {one.state for one in self.results}
        return 1 if "failed" in states else 2 if states == {"skipped"} else 0

    def markdown(self) -> str:
        """Head, steps, what they found, and the table."""
        steps = [
            [one.step, f"{one.state}: {one.why}" if one.why else one.state, f"{one.seconds:.0f}", STEPS[one.step].about]
            for one in self.results
        ]
        parts = ["# A GPU, checked", *self.head, table(["step", "result", "s", "what it finds out"], steps, [2])]
        for one in self.results:
            said = [f"{figure.line}; {figure.how}" for figure in one.figures]
            said += [f"{name}: {text}" for name, text in one.lines.items()]
            if said:
                parts.append(f"**{one.step}**" + bullets(said))
        parts.append(self.measured.markdown() if self.measured else f"No table: {self.no_table}")
        return "\n\n".join(part.strip("\n") for part in parts)

    def document(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            "head": self.head,
            "steps": [asdict(one) for one in self.results],
            "rows": [line.as_row() for line in self.measured.lines] if self.measured else [],
            "notes": self.measured.notes if self.measured else [self.no_table],
        }


def _of_machine(results: Results, environment: Environment | None) -> Results:
    """The records of the machine that the steps saw, where the folder has those of several."""
    several = environment and len(results.machines) > 1
    return results.choose(machine=environment.id) if environment and several else results
