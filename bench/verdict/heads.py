"""What tasks with heads give and cost: every cell with its scores, its controls, and its latency with the head."""

from __future__ import annotations

from collections.abc import Sequence

from bench.records.record import ScoreRecord
from bench.verdict.digits import number, with_error
from bench.verdict.markdown import table
from bench.verdict.ranking import LATENCY
from bench.verdict.row import Row
from export.spec import Metric

BESIDE = ("pixel_accuracy", "AP50", "AP75", "box_AP", "box_AP50", "mask_AP50")
"""Metrics that stand beside a task's main one, where it reports them."""
PARAMETERS = "head_parameters"
SCENARIO = "single_stream"


def heads(found: Sequence[Row]) -> str:
    """A Markdown table: a row for each cell that has a score, the best first; controls of random weights last."""
    rows = [row for row in found if row.scores]
    deployed = {name for row in rows for name, record in row.scores.items() if record.keys.joint}
    tasks = sorted({name for row in rows for name in row.scores}, key=lambda name: (name not in deployed, name))
    shown = [(task, metric) for task in tasks for metric in _metrics(rows, task, task in deployed)]
    first = tasks[0] if tasks else ""
    rows.sort(key=lambda row: (row.cell.untrained, -_value(row, first)))
    called = {name: row.scores[name].subject.task.replace("_", " ") for row in rows for name in row.scores}
    titles = [f"{called[task]}: {metric.replace('_', ' ')}" for task, metric in shown]
    subjects = [record.subject for row in rows for record in row.timings.values()]
    latencies = sorted({(one.head, one.name) for one in subjects if one.scenario == SCENARIO})
    costs = [f"p50, with {called.get(head, head)}, ms" if head else "p50, backbone, ms" for head, _ in latencies]
    return table(
        ("backbone", "engine", "precision", *titles, *costs),
        [
            (
                row.cell.backbone,
                row.cell.engine,
                row.cell.precision + (" (fails parity)" if row.failed_parity else ""),
                *(_text(row.scores.get(task), metric) for task, metric in shown),
                *(_latency(row, name) for _, name in latencies),
            )
            for row in rows
        ],
        range(3, 3 + len(shown) + len(latencies)),
    )


def _metrics(rows: Sequence[Row], task: str, deployed: bool) -> list[str]:
    """Of a deployed head all that is shown; of another, which is there to compare with, what matters."""
    records = [row.scores[task] for row in rows if task in row.scores]
    there = {metric.name for record in records for metric in record.metrics}
    beside = (*(BESIDE if deployed else ()), PARAMETERS)
    return [records[0].main.name, *(name for name in beside if name in there - {records[0].main.name})]


def _value(row: Row, task: str) -> float:
    record = row.scores.get(task)
    return record.main.value or 0.0 if record and record.metrics else -1.0


def _text(record: ScoreRecord | None, name: str) -> str:
    metric: Metric | None = record.metric(name) if record else None
    if metric is None or metric.value is None:
        return "–"
    if name == PARAMETERS:
        return f"{metric.value / 1000:,.1f} k"
    return with_error(metric.value, metric.stderr, 1)


def _latency(row: Row, name: str) -> str:
    record = row.timings.get(name)
    metric = record.metric(LATENCY) if record else None
    return number(metric.value) if metric and metric.value is not None else "–"
