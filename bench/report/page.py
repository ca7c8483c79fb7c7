"""The page: its parts in reading order, verdict first. Every name that comes from a record is escaped."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from string import Template

from bench.records.parts import Failure
from bench.records.results import Results
from bench.report import notes
from bench.report.grid import grid
from bench.report.plots import distributions, embedded, points
from bench.report.predictions import predictions
from bench.verdict.picking import headline, pick, price, reasons
from bench.verdict.ranking import Ranking
from bench.verdict.row import Row, reason
from bench.verdict.table import rows, sheet
from export.errors import not_installed


def page(results: Results, cost: str = "") -> str:
    """The whole report as HTML.

    Raises:
        Unavailable: plotly is not installed.
        UserError: the records may not be compared, or there is no such cost.
    """
    plotly = _plotly()
    found, remarks = rows(results)
    ranking = Ranking(sheet(found, remarks))
    cost = cost or ranking.default_cost()
    if cost:
        ranking.sheet.cost(cost)  # an unknown column is refused before anything is drawn
    curves = distributions(found)
    scatter = points(ranking, cost)
    body = [
        _head(ranking, cost, results),
        _front(bool(scatter["rows"] and scatter["x"])),
        _table(ranking, cost),
        _failed(found),
        _aside(ranking, found),
        predictions(found, results.pictures),
        notes.settings(found),
        _latency(bool(curves)),
        notes.how(ranking, cost, found),
        notes.environment(found),
        notes.licences(found),
        _foot(results),
    ]
    here = files("bench.report")
    return Template((here / "page.html").read_text("utf-8")).substitute(
        title=escape(_verdict(ranking, cost)[0]),
        style=(here / "page.css").read_text("utf-8"),
        body="\n".join(filter(None, body)),
        plotly=plotly,
        points=embedded(scatter),
        distributions=embedded(curves),
        script=(here / "page.js").read_text("utf-8"),
    )


def _plotly() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise not_installed("The report", "plotly", "report", error) from error
    return str(get_plotlyjs())


def _verdict(ranking: Ranking, cost: str) -> tuple[str, str]:
    """The suggestion, and why."""
    if not ranking.ranked:
        return "Nothing could be ranked", "What is missing is said below."
    found = pick(ranking, cost)
    return headline(ranking, found), " ".join([f"{price(ranking, found)}.", *reasons(ranking, found)])


def _head(ranking: Ranking, cost: str, results: Results) -> str:
    machine = notes.machine(results.records)
    dates = sorted(r.started_at[:10] for r in results.records if r.started_at)
    when = (dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}") if dates else ""
    about = [f"{len(ranking.sheet.labels)} cells, {len(ranking.ranked)} ranked", machine, when]
    line, why = _verdict(ranking, cost)
    return (
        f'<header><p class="kicker">{escape(" · ".join(filter(None, about)))}</p>'
        f'<h1>{escape(line)}</h1><p class="lead">{escape(why)}</p>'
        '<p class="soft">A cell is a backbone on an engine at a precision. Its accuracy is computed from the features '
        "that the compiled engine emits, and stands beside what that same engine costs.</p></header>"
    )


def _front(some: bool) -> str:
    if not some:
        return ""
    return (
        "<section><h2>Accuracy against cost</h2>"
        '<div class="controls"><label>cost <select id="x"></select></label>'
        '<label>accuracy <select id="y"></select></label></div>'
        '<figure><div id="front" class="plot" role="img" aria-label="Scatter of accuracy against cost"></div>'
        "<figcaption>Large, named points are on the Pareto front: no cell is better and cheaper. Bars are one standard "
        "error. Colour is the engine, shape the precision. Cells without a score are in the table, not in the "
        "plot.</figcaption></figure></section>"
    )


def _table(ranking: Ranking, cost: str) -> str:
    foot = "".join(f"<li>{escape(line)}</li>" for line in ranking.foot(cost))
    return (
        '<section><h2>All cells</h2><div class="controls"><label><input type="checkbox" id="more"> every column</label>'
        '</div><div class="scroll" tabindex="0" role="region" aria-label="All cells">'
        f"{grid(ranking, cost)}</div><ul class='soft'>{foot}</ul></section>"
    )


def _failed(found: Sequence[Row]) -> str:
    """Results that failed, gathered by reason: cells, their results, and of a bug the traceback, folded."""
    by_failure: dict[Failure, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in found:
        for record in row.troubles:
            if record.status == "failed" and record.failure:
                by_failure[record.failure][str(row.cell)].append(record.subject.name)
    if not by_failure:
        return ""
    counts = {failure: sum(map(len, cells.values())) for failure, cells in by_failure.items()}
    total, bugs = sum(counts.values()), sum(n for failure, n in counts.items() if failure.bug)
    lead = f"{total} result{'s' * (total != 1)} failed" + (f", {bugs} of them by a bug" if bugs else "")
    items = "".join(f"<li>{_failure(failure, cells)}</li>" for failure, cells in by_failure.items())
    return f"<section><h2>Failed</h2><p>{lead}.</p><ul>{items}</ul></section>"


def _failure(failure: Failure, cells: dict[str, list[str]]) -> str:
    where = "; ".join(f"<b>{escape(cell)}</b> ({escape(', '.join(names))})" for cell, names in cells.items())
    said = " ".join(filter(None, [failure.what, failure.why, failure.remedy and f"Try: {failure.remedy}"]))
    trace = f"<details><summary>traceback</summary><pre>{escape(failure.traceback)}</pre></details>"
    return f"{where}: {escape(said)}{trace if failure.bug else ''}"


def _aside(ranking: Ranking, found: Sequence[Row]) -> str:
    """Rows that are not ranked or incomplete, and noisy timings, each with its reason; what failed stands above."""
    sheet = ranking.sheet
    lines, doubts = [], []
    for row, (status, why, flags) in enumerate(zip(sheet.status, sheet.why, sheet.flags, strict=True)):
        name = f"<b>{escape(sheet.name(row))}</b>"
        if status == "failed":
            why = "; ".join(dict.fromkeys(reason(r) for r in found[row].troubles if r.status != "failed"))
        if why or status not in ("ok", "failed"):
            kind = {"ok": "incomplete", "parity": "not ranked", "failed": "not ranked"}.get(status, status)
            lines.append(f"<li>{name}, {kind}: {escape(why)}</li>")
        if flags:
            doubts.append(f"<li>{name}, {escape('; '.join(map(str, flags)))}</li>")
    parts = [f"<section><h2>Not ranked, or incomplete</h2><ul>{''.join(lines)}</ul></section>"] if lines else []
    if doubts:
        parts.append(
            "<section><h2>Noisy or disturbed timings</h2><details><summary>"
            f"{len(doubts)} cells were timed on an unsteady or busy machine</summary>"
            f"<ul>{''.join(doubts)}</ul></details></section>"
        )
    return "".join(parts)


def _latency(some: bool) -> str:
    if not some:
        return ""
    return (
        "<section><h2>Every query's time</h2>"
        '<div class="controls"><label>series <select id="series"></select></label></div>'
        '<figure><div id="curves" class="plot low" role="img" aria-label="Cumulative distributions of latency"></div>'
        "<figcaption>Share of queries that were answered within a time; all repeats together, nothing dropped. The "
        "number of queries stands behind each name; click a name to hide its curve.</figcaption></figure></section>"
    )


def _foot(results: Results) -> str:
    unread = "".join(f"<li>{escape(u.name)}: {escape(u.reason)}</li>" for u in results.unread)
    return (
        f"<footer>{len(results.records)} records of schema {max(r.schema for r in results.records)}"
        + (f"; {len(results.unread)} files could not be read:<ul>{unread}</ul>" if unread else "")
        + "</footer>"
    )
