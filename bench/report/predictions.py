"""What was predicted: photographs with predictions drawn on them, and what is known of each class, cell by cell."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path

from bench.records.record import ScoreRecord
from bench.verdict.digits import with_error
from bench.verdict.row import Row


def predictions(found: Sequence[Row], pictures: Path | None) -> str:
    """The section; empty where no score has pictures or classes.

    Args:
        pictures: the folder of the sheets that records name; None where there is none, as for published records.
    """
    parts = [
        _one(row, record, pictures)
        for row in found
        for record in row.scores.values()
        if record.by_class or record.picture
    ]
    if not parts:
        return ""
    return (
        "<section><h2>Predictions</h2><p>For each cell and task: test images that raise the score the most, then those "
        f"that lower it the most; and what is known of each class.</p>{''.join(parts)}</section>"
    )


def _one(row: Row, record: ScoreRecord, pictures: Path | None) -> str:
    main = record.main
    score = f"{main.name} {with_error(main.value, main.stderr, 1)} {main.unit}"
    taps = ", ".join(f"{t['name']} (stride {t['stride']:g}, {t['channels']} channels)" for t in record.about.taps)
    control = " (untrained, for comparison)" if row.cell.untrained else ""
    head = f"<b>{escape(str(row.cell))}</b>{control}, {escape(record.subject.name)}: {escape(score)}"
    metrics = "; ".join(f"{m.name} {with_error(m.value, m.stderr, 1)} {m.unit}".rstrip() for m in record.metrics[1:])
    said = "".join(
        f'<p class="soft">{escape(line)}</p>' for line in (metrics, taps and f"Feature maps: {taps}") if line
    )
    return f"<details><summary>{head}</summary>{said}{_sheet(record, pictures)}{_classes(record)}</details>"


def _sheet(record: ScoreRecord, pictures: Path | None) -> str:
    path = pictures / record.picture if pictures and record.picture else None
    if path is None or not path.is_file():
        return ""
    data = b64encode(path.read_bytes()).decode()
    about = escape(f"Predictions of {record.cell} on {record.subject.data}")
    return f'<figure><img loading="lazy" alt="{about}" src="data:image/jpeg;base64,{data}"></figure>'


def _classes(record: ScoreRecord) -> str:
    if not record.by_class:
        return ""
    names = list(dict.fromkeys(name for one in record.by_class for name in one))
    heads = "".join(f"<th>{escape(name)}</th>" for name in names)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(_text(one.get(name)))}</td>" for name in names) + "</tr>"
        for one in record.by_class
    )
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'


def _text(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else "–" if value is None else str(value)
