"""The page: its parts in reading order, verdict first. Every name that comes from a record is escaped."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from string import Template

from bench.records.parts import Failure
from bench.records.results import Results
from bench.report import controls, notes
from bench.report.answers import answers
from bench.report.cells import cells, order
from bench.report.curves import classes, distributions
from bench.report.packed import element, embedded, folded
from bench.report.photographs import photographs
from bench.report.predictions import predictions
from bench.report.soak import soak
from bench.verdict.money import Load, Price
from bench.verdict.picking import headline, pick, price, reasons
from bench.verdict.price import priced
from bench.verdict.ranking import Ranking
from bench.verdict.row import Row, reason
from bench.verdict.table import rows, sheet

SCRIPTS = "text packed rule state controls verdict table axis plot compare photographs latency main"
"""Files of ``script/``, in the order in which the page needs them."""


def page(results: Results, cost: str = "", prices: Sequence[Price] = (), load: Load | None = None) -> str:
    """The whole report as HTML.

    Raises:
        UserError: the records may not be compared, or there is no such cost.
    """
    found, remarks = rows(results)
    made = sheet(found, remarks)
    ranking = Ranking(priced(made, found, prices, load) if prices or load else made)
    cost = cost or ranking.default_cost()
    if cost:
        ranking.sheet.cost(cost)  # an unknown column is refused before anything is drawn
    places = order(ranking)
    curves, by_class = distributions(found, places), classes(found, places)
    entries, elements = answers(ranking, places)
    shown, thumbnails = photographs(ranking, found, places, entries, results.pictures)
    known = cells(ranking, found, cost) | {"answers": entries}
    body = [
        _head(ranking, cost, results),
        controls.budgets(),
        controls.front() if cost and ranking.ranked else "",
        controls.table(ranking.foot()),
        controls.compare([entry["id"] for entry in entries if entry.get("left_out")], shown),
        _failed(found),
        _aside(ranking, found),
        predictions(found, results.pictures),
        notes.settings(found),
        controls.latency() if curves else "",
        soak(found),
        notes.how(ranking, cost, found),
        notes.environment(found),
        notes.licences(found),
        _foot(results),
    ]
    packed = [elements, thumbnails]
    packed += [
        element(name, embedded(v).encode()) for name, v in (("distributions", curves), ("classes", by_class)) if v
    ]
    here = files("bench.report")
    return Template((here / "page.html").read_text("utf-8")).substitute(
        title=escape(_verdict(ranking, cost)[0]),
        style=(here / "page.css").read_text("utf-8"),
        body="\n".join(filter(None, body)),
        cells=embedded(known),
        packed="\n".join(filter(None, packed)),
        script="".join((here / "script" / f"{name}.js").read_text("utf-8") for name in SCRIPTS.split()),
    )


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
        f'<h1 id="verdict" aria-live="polite">{escape(line)}</h1><p class="lead" id="why">{escape(why)}</p>'
        '<p class="soft">A cell is a backbone on an engine at a precision. Its accuracy is computed from the features '
        "that the compiled engine emits, and stands beside what that same engine costs.</p></header>"
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
        summary = f"{len(doubts)} cells were timed on an unsteady or busy machine"
        listed = folded(summary, f"<ul>{''.join(doubts)}</ul>")
        parts.append(f"<section><h2>Noisy or disturbed timings</h2>{listed}</section>")
    return "".join(parts)


def _foot(results: Results) -> str:
    unread = "".join(f"<li>{escape(u.name)}: {escape(u.reason)}</li>" for u in results.unread)
    return (
        f"<footer>{len(results.records)} records of schema {max(r.schema for r in results.records)}"
        + (f"; {len(results.unread)} files could not be read:<ul>{unread}</ul>" if unread else "")
        + "</footer>"
    )
