"""The check of the zoo as a page: totals, one line a network, what is too large, and the reason of each failure."""

from __future__ import annotations

from collections.abc import Sequence

from bench.verdict.markdown import bullets, table
from bench.zoo.check import COPIES, FILE, FIXED_GIB, Row


def markdown(rows: Sequence[Row], engines: Sequence[str], head: Sequence[str]) -> str:
    """A page: the title, ``head`` (how it was made), totals, and a table for each precision.

    Args:
        engines: those that were asked for, each a column.
    """
    lines = ["# Every network of the zoo", "", *head, ""]
    precisions = list(dict.fromkeys(row.precision for row in rows))
    lines += [f"- {name}: {total([row for row in rows if row.precision == name])}" for name in precisions]
    for name in precisions:
        lines += ["", f"## {name}", "", _table([row for row in rows if row.precision == name], engines)]
    lines += _list("Too large", _large(rows), [row for row in rows if row.status == "too large"])
    failed = [row for row in rows if row.status in ("failed", "unavailable")]
    lines += _list("Not passed", "Reasons, as they were reported.", failed)
    return "\n".join([*lines, ""])


def total(rows: Sequence[Row]) -> str:
    """``of 80 networks 78 passed, 2 too large``."""
    states = dict.fromkeys(row.status for row in rows)
    counts = ", ".join(f"{sum(row.status == state for row in rows)} {state}" for state in states)
    return f"of {len(rows)} networks {counts}"


def _table(rows: Sequence[Row], engines: Sequence[str]) -> str:
    columns = (FILE, *engines)
    heads = ["network", "input", "rows of the zoo", "params M", "MiB", "export s", "all s", "peak GiB", *columns]
    lines = []
    for row in rows:
        if row.status in ("too large", "unavailable"):
            continue
        shared = ", ".join(f"`{name}`" for name in row.rows)
        weights = "" if row.parameters_m is None else f"{row.parameters_m:.1f}"
        numbers = [f"{row.onnx_mib:.0f}", f"{row.export_seconds:.0f}", f"{row.seconds:.0f}", f"{row.peak_gib:.1f}"]
        lines.append([f"`{row.architecture}`", row.input, shared, weights, *numbers, *(_cell(row, c) for c in columns)])
    return table(heads, lines, range(3, 8))


def _cell(row: Row, name: str) -> str:
    """``5e-07``; where it did not pass, with the cosine."""
    found = row.parity.get(name)
    if found is None:
        return "—"
    shown = f"{found['relative_error']:.0e}"
    return shown if found["passed"] else f"**{shown}**, cosine {found['cosine_min']:.4f}"


def _large(rows: Sequence[Row]) -> str:
    return (
        f"Not tried. The need is estimated from the number of weights: {FIXED_GIB:.1f} GiB, and {COPIES:g} times the "
        "fp32 weights."
    )


def _list(title: str, about: str, rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    lines = []
    for row in rows:
        weights = "" if row.parameters_m is None else f", {row.parameters_m:.0f} M weights"
        shared = ", ".join(f"`{name}`" for name in row.rows)
        lines.append(f"`{row.architecture}` {row.input} {row.precision} ({shared}{weights}): {row.why}")
    return ["", f"## {title}", "", about + bullets(lines)]
