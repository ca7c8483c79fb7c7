"""Energies in a table: those of one domain in one column, never two; what they are of, or why there are none, once."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench.records.energy import PER_IMAGE, Energy
from bench.verdict.row import Row


def domains(rows: Sequence[Row]) -> tuple[str, ...]:
    """What was read, each once: ``package + dram``, ``VDD_IN``, ``wall``."""
    return tuple(dict.fromkeys(energy.domain for energy in _all(rows) if energy.domain))


def column(name: str, domain: str, apart: bool) -> str:
    """The name of a column; where several domains stand ``apart``, with the domain before it."""
    return f"{re.sub('[^A-Za-z0-9]+', '_', domain)}.{name}" if apart else name


def notes(rows: Sequence[Row]) -> list[str]:
    """Sentences for a table's foot: what each domain was read by, and why energies are missing."""
    found = _all(rows)
    said = list(dict.fromkeys((one.domain, one.sensor) for one in found if one.domain))
    lines = [f"{PER_IMAGE}: {domain} (by {sensor}), beyond the idle power." for domain, sensor in said]
    if len(lines) > 1:
        lines.append("Energies of different domains are not compared: each has columns of its own.")
    reasons = dict.fromkeys(one.reason for one in found if one.reason)
    short = dict.fromkeys(f"{w.series}: {w.why}" for one in found for w in one.windows if w.why)
    lines += [f"No energy: {reason}" for reason in reasons]
    if short:
        first, *more = short
        lines.append(f"Energy n/a: {first}" + (f", and {len(more)} reasons more in the records." if more else "."))
    return lines


def _all(rows: Sequence[Row]) -> list[Energy]:
    return [timing.energy for row in rows for timing in row.timings.values() if timing.energy is not None]
