"""Latency against time: each tenth of a soak, as numbers and as a line."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from bench.records import stats
from bench.records.record import TimingRecord
from bench.verdict.digits import number
from bench.verdict.hot import SCENARIO, hot
from bench.verdict.row import Row

WIDTH, HEIGHT, MARGIN = 180, 36, 4
"""Pixels of a line."""


def soak(found: Sequence[Row]) -> str:
    """The section: a row a cell that was soaked, and the pairs that change places; empty where there is none."""
    rows = [(row, record) for row in found if (record := row.timings.get(SCENARIO)) and len(record.series) > 1]
    if not rows:
        return ""
    body = "".join(_row(str(row.cell), record) for row, record in rows)
    heads = "".join(f"<th><span>{name}</span><small>ms</small></th>" for name in ("first tenth", "last tenth"))
    changed = "".join(f"<p>{escape(line)}</p>" for line in hot(found))
    return (
        "<section><h2>Latency against time</h2><p>The median of each tenth of the time, under one query after another. "
        "Every line has a scale of its own, from its least to its most.</p>"
        '<div class="scroll" tabindex="0" role="region" aria-label="Latency against time"><table><thead><tr>'
        f'<th class="t">cell</th>{heads}<th><span>change</span><small>%</small></th>'
        f'<th class="t">p50 of each tenth</th></tr></thead><tbody>{body}</tbody></table></div>{changed}</section>'
    )


def _row(name: str, record: TimingRecord) -> str:
    series = sorted(record.series, key=lambda one: one.begin_ns)
    medians = [stats.median(one.samples) / 1e6 for one in series]
    change = 100 * (medians[-1] / medians[0] - 1)
    said = ", ".join(map(number, medians))
    return (
        f'<tr><td class="t">{escape(name)}</td><td>{number(medians[0])}</td><td>{number(medians[-1])}</td>'
        f'<td>{change:+.1f}</td><td class="t">{_line(medians, said)}</td></tr>'
    )


def _line(values: Sequence[float], said: str) -> str:
    low, high = min(values), max(values)
    span = high - low or 1.0
    points = [
        (
            MARGIN + place * (WIDTH - 2 * MARGIN) / max(1, len(values) - 1),
            HEIGHT - MARGIN - (value - low) / span * (HEIGHT - 2 * MARGIN),
        )
        for place, value in enumerate(values)
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{said} ms">'
        f"<title>{said} ms</title>"
        f'<polyline points="{path}" fill="none" stroke="currentColor" stroke-width="1.5"/></svg>'
    )
