"""What cells cost, whether scored or not: their files, closeness to eager PyTorch, latency, memory, loading."""

from __future__ import annotations

from collections.abc import Sequence

from bench.verdict.digits import number
from bench.verdict.markdown import bullets, table
from bench.verdict.ranking import LATENCY
from bench.verdict.row import Row

SCENARIO = "single_stream"
METRICS = {
    "file, MiB": "onnx_mib",
    "p50, ms": LATENCY,
    "p99, ms": "latency_p99_ms",
    "peak memory, MiB": "peak_memory_mib",
    "load, ms": "load_ms",
}


def costs(found: Sequence[Row]) -> str:
    """A Markdown table: a row a cell, the quickest first; below it, why cells have no figures."""
    rows = sorted((row for row in found if row.timings), key=lambda row: _value(row, LATENCY) or float("inf"))
    made = table(
        ("backbone", "engine", "precision", "cosine, least", *METRICS),
        [
            (
                row.cell.backbone,
                row.cell.engine,
                row.cell.precision + (" (fails parity)" if row.failed_parity else ""),
                f"{row.parity.cosine_min:.5f}" if row.parity else "–",
                *(_text(row, name) for name in METRICS.values()),
            )
            for row in rows
        ],
        range(3, 4 + len(METRICS)),
    )
    return made + bullets([f"{row.cell}: {row.judge()[1]}" for row in found if not row.timings])


def _value(row: Row, name: str) -> float | None:
    metric = row.timed(SCENARIO, name)
    return metric.value if metric else None


def _text(row: Row, name: str) -> str:
    value = _value(row, name)
    return "–" if value is None else number(value)
