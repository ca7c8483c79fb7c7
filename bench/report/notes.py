"""The page's explanations: settings, how each number was taken, the machine, licences. Words come from the records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from html import escape
from typing import Any

from bench.records import stats
from bench.records.record import Record, ScoreRecord, TimingRecord
from bench.report.packed import folded
from bench.verdict.ranking import Ranking
from bench.verdict.row import Row


def settings(found: Sequence[Row]) -> str:
    """One part a task and data set: protocol, data, every metric of every cell, what was chosen."""
    parts = []
    for name in sorted({name for row in found for name in row.scores}):
        records = [row.scores[name] for row in found if name in row.scores]
        s = records[0].subject
        sizes = f"{s.n_train:,} train, {s.n_val:,} val, {s.n_test:,} test"
        data = [f"{s.data}: {sizes}; {s.classes} classes; splits {s.splits_from}"]
        data += [f"licence {s.data_licence}"] if s.data_licence else []
        data += s.remarks
        parts.append(
            f"<h3>{escape(s.task)} on {escape(s.data)}</h3><p>{escape(s.protocol)}</p>"
            f"<p class='soft'>{escape('; '.join(data))}. Task version {s.version}, seed {s.seed}, protocol "
            f"<code>{escape(records[0].protocol)}</code>, data <code>{escape(s.data_digest[:12])}</code>.</p>"
            f"{folded('All metrics of all cells', _metrics(records))}"
        )
    return _section("What was scored", parts)


def _metrics(records: Sequence[ScoreRecord]) -> str:
    names = {m.name: m for r in records for m in r.metrics}
    heads = "".join(
        f"<th><span>{escape(n.replace('_', ' '))}</span><small>{escape(m.unit) or '&nbsp;'}</small></th>"
        for n, m in names.items()
    )
    body = []
    for record in records:
        cells = [f'<td class="t">{escape(str(record.cell))}</td>']
        for name in names:
            m = record.metric(name)
            if m is None or m.value is None:
                cells.append(f'<td title="{escape(m.note if m else "")}">n/a</td>')
            else:
                error = "" if m.stderr is None else f' <span class="e">± {m.stderr:.1f}</span>'
                cells.append(f'<td title="{escape(m.note)}">{m.value:.1f}{error}</td>')
        cells.append(f'<td class="w">{escape(_flat(record.chosen))}</td>')
        body.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f'<div class="scroll" tabindex="0" role="region"><table><thead><tr><th class="t">cell</th>{heads}'
        f'<th class="t">chosen on val</th></tr></thead><tbody>{"".join(body)}</tbody></table></div>'
    )


def how(ranking: Ranking, cost: str, found: Sequence[Row]) -> str:
    """How each number was taken, in plain words; the scenarios' own sentences come from the records."""
    needed = ", ".join(f"p{100 * q:g} {stats.min_samples(q):,}" for q in (0.9, 0.95, 0.99))
    lines = [
        "<b>Features</b> come out of the compiled engine, not out of the training framework. They are extracted once "
        "for a cell and shared by all tasks.",
        "<b>Scores</b> are computed on frozen features. Everything that is chosen is chosen on val; test is read once.",
        "<b>Parity</b> compares the compiled engine with the eager fp32 module on real photographs. A cell that fails "
        "is kept and marked, and never ranked.",
        "<b>The boundary that is timed</b>, for every engine alike: uint8 RGB pixels in host memory in, float32 "
        "features in host memory out. Each measurement runs in a process of its own; first run and warm-up are kept "
        "apart; no sample is dropped.",
        f"<b>A percentile</b> is a measured sample (nearest rank), and is reported only from enough samples, by MLPerf "
        f"LoadGen's rule at 99 % confidence: {needed}. Otherwise it is n/a. No compliance with MLPerf is claimed.",
        "<b>Noise</b> is the interquartile range over the median; over 2.5 % it is flagged.",
    ]
    protocols = {name: r for row in found for name, r in row.timings.items()}
    for name in sorted(protocols):
        s = protocols[name].subject
        lines.append(f"<b>{escape(name)}</b>: {escape(s.protocol)} ({escape(_flat(s.settings))})")
    columns = "".join(
        f"<dt><code>{escape(c.name)}</code></dt><dd>{escape(c.about)}"
        f"{', ' + escape(c.unit) if c.unit else ''}; {'higher' if c.higher_is_better else 'lower'} is better</dd>"
        for c in (*ranking.sheet.settings, *ranking.sheet.costs)
    )
    items = "".join(f"<li>{line}</li>" for line in lines)
    return _section(
        "How each number was taken",
        [f"<ul>{items}</ul>", f"<details><summary>Every column</summary><dl>{columns}</dl></details>"],
    )


def machine(records: Iterable[Record]) -> str:
    """The machine's name in a few words: that of the timings, where there are some."""
    ordered = sorted(records, key=lambda r: not isinstance(r, TimingRecord))
    return next((name for r in ordered if (name := r.environment.name or r.environment.id)), "")


def environment(found: Sequence[Row]) -> str:
    """The machines and libraries behind the records; one list for each that differs."""
    seen: dict[str, Mapping[str, Any]] = {}
    for row in found:
        for record in (*row.timings.values(), *row.scores.values()):
            values = asdict(record.environment)
            seen.setdefault(_flat(values), values)
    parts = []
    for e in seen.values():
        pairs = [(k.replace("_", " "), _said(v)) for k, v in e.items() if v]
        parts.append(f"<dl>{''.join(f'<dt>{escape(k)}</dt><dd>{escape(v)}</dd>' for k, v in pairs)}</dl>")
    threads = sorted({row.cell.threads for row in found})
    if parts:
        parts.append(f"<p class='soft'>Threads for one inference: {', '.join(map(str, threads))}.</p>")
    return _section("Environment", parts)


def licences(found: Sequence[Row]) -> str:
    """Where the weights come from and under which licence; the same of the data."""
    body, seen = [], set()
    for row in found:
        if row.cell.backbone in seen:
            continue
        seen.add(row.cell.backbone)
        about = row.about
        trained = "none: random weights" if row.cell.untrained else about.pretrain_algo or "?"
        cells = [row.cell.backbone, about.family, trained, about.pretrain_data, about.licence]
        cells += [" × ".join(map(str, about.input or ())), about.feature]
        wide = f'<td class="w">{escape(_flat(about.source))}</td>'
        body.append("<tr>" + "".join(f'<td class="t">{escape(str(c or "–"))}</td>' for c in cells) + wide + "</tr>")
    names = ("backbone", "family", "pretraining", "on", "licence", "input", "feature", "source")
    heads = "".join(f'<th class="t">{n}</th>' for n in names)
    data = {
        f"{r.subject.data}: {r.subject.data_licence or 'the licence is not recorded'}"
        for row in found
        for r in row.scores.values()
    }
    listed = "".join(f"<li>{escape(d)}</li>" for d in sorted(data))
    return _section(
        "Licences of weights and data",
        [
            f'<div class="scroll" tabindex="0" role="region"><table><thead><tr>{heads}</tr></thead>'
            f"<tbody>{''.join(body)}</tbody></table></div>",
            f"<h3>Data</h3><ul>{listed}</ul>" if listed else "",
        ],
    )


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return _flat(value)
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _flat(values: Mapping[str, Any]) -> str:
    """``name value, name value``; nested values in brackets."""
    parts = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            shown = f"({_flat(value)})"
        elif isinstance(value, float):
            shown = f"{value:.4g}"
        else:
            shown = str(value)
        parts.append(f"{name.replace('_', ' ')} {shown}")
    return ", ".join(parts)


def _section(title: str, parts: Sequence[str]) -> str:
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>" if parts else ""
