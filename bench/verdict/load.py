"""What cells cost under load, as a page shows it: alone, from many users, from a camera, and after ten minutes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.records.energy import PER_IMAGE
from bench.verdict import energies
from bench.verdict.digits import number
from bench.verdict.hot import hot
from bench.verdict.markdown import bullets, table
from bench.verdict.row import Row

LATENCIES = {"p50, ms": ("single_stream", "latency_p50_ms"), "p99, ms": ("single_stream", "latency_p99_ms")}
SERVER, SOAK, CAMERA = "server", "soak", "camera"
ENERGY = "single_stream"
"""The scenario whose energy is shown."""


def load(found: Sequence[Row]) -> str:
    """A Markdown table: a row a cell, the one that answers most first, and below it why there is no energy, and which
    cells change places when hot. What was not measured has a dash."""
    rows = sorted(found, key=lambda row: -(_value(row, SERVER, "server_images_per_s") or 0.0))
    rates = sorted({fps for row in rows for fps in _settings(row, CAMERA).get("fps", ())})
    metered = energies.domains(rows)
    bounds = dict.fromkeys(str(_settings(row, SERVER).get("slo", "")) for row in rows if SERVER in row.timings)
    columns = [
        *LATENCIES,
        f"highest rate at {' or '.join(bounds)}, images/s" if bounds else "highest rate",
        "interval",
        *(f"camera at {fps} fps, p50, ms" for fps in rates),
        "soak: first → last tenth, p50, ms",
        *([f"energy, {ENERGY.replace('_', ' ')}, mJ/image"] if metered else []),
    ]
    made = table(
        ("backbone", "engine", "precision", *columns),
        [
            (
                row.cell.backbone,
                row.cell.engine,
                row.cell.precision + (" (fails parity)" if row.failed_parity else ""),
                *(_text(row, *name) for name in LATENCIES.values()),
                _text(row, SERVER, "server_images_per_s"),
                _between(row),
                *(_text(row, CAMERA, f"camera_{fps}fps_p50_ms") for fps in rates),
                _soaked(row),
                *([_text(row, ENERGY, PER_IMAGE)] if metered else []),
            )
            for row in rows
        ],
        range(3, 3 + len(columns)),
    )
    return made + bullets([*energies.notes(rows), *hot(rows)])


def _settings(row: Row, scenario: str) -> dict[str, Any]:
    record = row.timings.get(scenario)
    return dict(record.subject.settings) if record else {}


def _value(row: Row, scenario: str, name: str) -> float | None:
    metric = row.timed(scenario, name)
    return metric.value if metric else None


def _text(row: Row, scenario: str, name: str) -> str:
    metric = row.timed(scenario, name)
    if metric is None:
        return "–"
    return "n/a" if metric.value is None else number(metric.value)


def _between(row: Row) -> str:
    low, high = (_value(row, SERVER, f"server_{side}_images_per_s") for side in ("low", "high"))
    if low is None and high is None:
        return "–"
    return f"{number(low) if low is not None else ''} … {number(high) if high is not None else ''}".strip()


def _soaked(row: Row) -> str:
    start, end = (_value(row, SOAK, f"soak_{side}_p50_ms") for side in ("start", "end"))
    return f"{number(start)} → {number(end)}" if start is not None and end is not None else "–"
