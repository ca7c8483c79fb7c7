"""The pre-flight as a table: one line an architecture, one column a precision, each reason once below."""

from __future__ import annotations

import re
from collections.abc import Sequence

from engines.trt.check import Row

QUOTED = re.compile(r"'[^']*'")


def markdown(rows: Sequence[Row], head: Sequence[str]) -> str:
    """A page: the title, ``head`` (how it was made), the totals, the table, and the reasons by number.

    A cell says for which targets it builds, the seconds for all of them, and the size of the plan that holds them all.
    """
    precisions = list(dict.fromkeys(row.precision for row in rows))
    cells = {(row.architecture, row.input, row.precision): row for row in rows}
    notes: dict[str, tuple[int, str, list[str]]] = {}
    lines = []
    for architecture, size in dict.fromkeys((row.architecture, row.input) for row in rows):
        found = [cells.get((architecture, size, precision)) for precision in precisions]
        shared = next(", ".join(f"`{name}`" for name in row.rows) for row in found if row)
        shown = " | ".join(_cell(row, notes) if row else "" for row in found)
        lines.append(f"| `{architecture}` | {size} | {shared} | {shown} |")
    totals = [
        f"- {precision}: {_total([row for row in rows if row.precision == precision])}" for precision in precisions
    ]
    return "\n".join(
        [
            "# TensorRT pre-flight",
            "",
            *head,
            "",
            *totals,
            "",
            f"| architecture | input | rows of the zoo | {' | '.join(precisions)} |",
            "|---|---|---|" + "---|" * len(precisions),
            *lines,
            *(["", "Reasons, as the library reports them (the node is that of the first case):", ""] if notes else []),
            *(f"{number}. {reason}: {_cases(cases)}" for number, reason, cases in notes.values()),
            "",
        ]
    )


def _cell(row: Row, notes: dict[str, tuple[int, str, list[str]]]) -> str:
    marks = []
    for reason in row.failures.values():
        alike = QUOTED.sub("…", reason)
        number, _, cases = notes.setdefault(alike, (len(notes) + 1, reason.rstrip("."), []))
        case = f"{row.architecture} {row.precision}"
        if case not in cases:
            cases.append(case)
        if f"[{number}]" not in marks:
            marks.append(f"[{number}]")
    if not row.targets:
        return f"no {' '.join(marks)}" if row.parses else f"does not parse {' '.join(marks)}"
    shown = "all" if row.status == "ok" else ", ".join(row.targets)
    return " · ".join([shown, f"{row.seconds:.1f} s", f"{row.plan_mib:.0f} MiB", *marks])


def _total(rows: Sequence[Row]) -> str:
    counts = [
        (sum(row.status == "ok" for row in rows), "build for all targets"),
        (sum(row.status == "partly" for row in rows), "for some"),
        (sum(row.status == "failed" for row in rows), "for none"),
    ]
    return f"of {len(rows)} architectures " + ", ".join(f"{count} {what}" for count, what in counts if count)


def _cases(cases: Sequence[str]) -> str:
    shown = ", ".join(cases[:4])
    return shown if len(cases) <= 4 else f"{shown} and {len(cases) - 4} more"
