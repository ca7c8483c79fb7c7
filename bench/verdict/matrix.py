"""Backbone × precision × engine as one Markdown table, to be pasted into a page: what each cell costs, how close it
stays to fp32, and for what could not be measured the reason.

Of the reading side: a pure function of records.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.records.parts import Environment
from bench.records.results import Results
from bench.verdict.digits import number
from bench.verdict.markdown import bullets, table
from bench.verdict.row import Row
from bench.verdict.table import rows
from export.spec import Precision

COLUMNS = {
    "p50 ms": ("single_stream", "latency_p50_ms"),
    "p90 ms": ("single_stream", "latency_p90_ms"),
    "p99 ms": ("single_stream", "latency_p99_ms"),
    "images/s": ("offline", "throughput_images_per_s"),
    "device MiB": ("offline", "device_memory_mib"),
}
"""Column → the scenario and the metric that it shows."""
ALL = "(all)"


@dataclass(frozen=True)
class Line:
    """One line: a cell, or all cells of an engine that did not run for one and the same reason.

    Attributes:
        numbers: column → value; None where there is none.
        cosine: the least over the photographs of the parity gate, against eager fp32; None where it was not taken.
        note: why there are no numbers, or what makes them doubtful.
        absent: of results that there are none of, the reasons alone, without what was asked.
    """

    backbone: str
    precision: str
    engine: str
    numbers: dict[str, float | None]
    cosine: float | None
    note: str = ""
    absent: tuple[str, ...] = ()

    def as_row(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "backbone": self.backbone,
            "precision": self.precision,
            "engine": self.engine,
            **self.numbers,
            "cosine": self.cosine,
            "note": self.note,
        }


@dataclass(frozen=True)
class Matrix:
    """The lines, and notes on the whole."""

    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """Table and notes."""
        names = ["backbone", "precision", "engine", *COLUMNS, "cosine", "note"]
        body = [
            [
                f"`{one.backbone}`" if one.backbone != ALL else ALL,
                one.precision,
                f"`{one.engine}`",
                *(_shown(one.numbers[name]) for name in COLUMNS),
                "–" if one.cosine is None else f"{one.cosine:.5f}",
                one.note,
            ]
            for one in self.lines
        ]
        return table(names, body, range(3, len(names) - 1)) + bullets(self.notes)


def matrix(results: Results) -> Matrix:
    """The table of what ``results`` hold.

    Raises:
        UserError: they may not stand in one table (see :func:`bench.verdict.table.rows`).
    """
    found, notes = rows(results)
    order = [str(p) for p in Precision]
    found = sorted(found, key=lambda r: (r.cell.backbone, order.index(r.cell.precision), r.cell.engine))
    return Matrix(tuple(_gathered([_line(row) for row in found])), tuple(notes))


def _line(row: Row) -> Line:
    numbers = {name: _metric(row, *where) for name, where in COLUMNS.items()}
    cosine = row.parity.cosine_min if row.parity else None
    status, why = row.judge()
    doubts = [] if status == "skipped" and row.timings else [why]
    doubts.append(f"emulated: {row.emulated}" if row.emulated else "")
    flags = dict.fromkeys(flag.text for flag in row.flags)  # of which scenario, the report says
    note = "; ".join(text for text in (*doubts, *flags) if text)
    absent = tuple(dict.fromkeys(r.failure.why or r.failure.what for r in row.troubles if r.failure))
    return Line(row.cell.backbone, row.cell.precision, row.cell.engine, numbers, cosine, note, absent)


def _metric(row: Row, scenario: str, name: str) -> float | None:
    record = row.timings.get(scenario)
    metric = record.metric(name) if record else None
    return metric.value if metric else None


def _gathered(lines: Sequence[Line]) -> list[Line]:
    """An engine none of whose cells ran, all for one reason, is one line."""
    found: list[Line] = []
    for engine in dict.fromkeys(line.engine for line in lines):
        of = [line for line in lines if line.engine == engine]
        empty = all(value is None for line in of for value in line.numbers.values())
        if len(of) > 1 and empty and of[0].absent and len({line.absent for line in of}) == 1:
            found.append(Line(ALL, ALL, engine, of[0].numbers, None, "; ".join(of[0].absent), of[0].absent))
    gathered = {line.engine for line in found}
    return [line for line in lines if line.engine not in gathered] + found


def machine_lines(environment: Environment) -> tuple[str, ...]:
    """The device with its driver, the machine, and the libraries: a line of text each."""
    gpu = environment.gpu or {}
    device = ", ".join(
        text
        for text in (
            str(gpu.get("name", "")),
            f"compute capability {gpu['capability']}" if "capability" in gpu else "",
            f"driver {gpu['driver']}" if "driver" in gpu else "",
        )
        if text
    )
    libraries = ", ".join(f"{name} {version}" for name, version in environment.libraries.items())
    processor = f"{environment.name}, {environment.cores} cores"
    return tuple(line for line in (device, processor, f"{environment.os}; {libraries}") if line)


def _shown(value: float | None) -> str:
    return "–" if value is None else number(value)
