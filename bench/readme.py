"""``python -m bench.readme``: write picture, verdict and table of the published records into README.md and docs.

Only what stands between the markers is written. A test fails where it is anything else than what this command writes.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from export.command import console, new_parser
from export.errors import UserError

if TYPE_CHECKING:
    from bench.records.results import Results
    from bench.verdict.ranking import Ranking

Blocks = dict[str, dict[str, str]]
"""Document → marker → what stands there."""
ROWS = 5
"""Of the table in README.md."""
AGAIN = "bob rank --published"
BUDGETS = ("", "latency_p50_ms=20", "latency_p50_ms=12")
"""Of the replays in docs/race.md."""
DENSE = ("camvid", "bccd", "carparts")
"""Data sets of docs/dense.md."""
ABSENT = "No records are published with this version yet: `make demo` makes some."


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = new_parser("bench.readme", "Write picture, verdict and table of the published records into README.md and docs.")
    p.add_argument("--root", type=Path, default=Path(), metavar="DIR", help="the project's folder (this one)")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Write what has changed and name it; 0 when done."""
    args = parser().parse_args(argv)
    for name, content in contents(args.root).items():
        path = args.root / name
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            print(path)
    return 0


def contents(root: Path) -> dict[str, bytes]:
    """Every file that the published records fill, as it should be: path below ``root`` → content.

    Raises:
        UserError: a document lacks its markers.
        Unavailable: matplotlib is not installed.
    """
    from bench.records.results import PUBLISHED, Results
    from bench.verdict.choose import ranking_of

    dense = _filled(root, {**_dense(root), **_tables(root), **_cluster(), **_study()})
    if not PUBLISHED.is_file():
        return {**_filled(root, _absent()), **dense}
    results = Results.load(PUBLISHED)
    ranking = ranking_of(results)
    return {**_filled(root, _blocks(ranking, results)), **pictures(ranking, results), **dense}


def pictures(ranking: Ranking, results: Results) -> dict[str, bytes]:
    """The pictures of the records, light and dark."""
    from bench.report.canvas import THEMES
    from bench.report.dots import dots
    from bench.report.front import front
    from bench.report.notes import machine

    found, where = {}, machine(results.records)
    for theme in THEMES:
        found[f"docs/front-{theme}.svg"] = front(ranking, ranking.default_cost(), theme, "svg", where)
        found[f"docs/tasks-{theme}.svg"] = dots(ranking, theme)
    return found


def _absent() -> Blocks:
    return {
        "README.md": {"picture": ABSENT, "verdict": "", "table": ""},
        "docs/tasks.md": {"picture": ABSENT, "table": ABSENT},
        "docs/race.md": {"replays": ABSENT},
    }


def _blocks(ranking: Ranking, results: Results) -> Blocks:
    from bench.verdict.picking import pick, sentences
    from bench.verdict.show import markdown

    first, *others = sentences(ranking, pick(ranking))
    short, long = markdown(ranking, again=AGAIN, limit=ROWS), markdown(ranking, again=AGAIN)
    return {
        "README.md": {
            "picture": _picture("docs/front", "Accuracy of every cell against its latency, with the Pareto front"),
            "verdict": " ".join([f"**{first}**", *others]),
            "table": f"{short}\n\n{_source(results)}",
        },
        "docs/tasks.md": {
            "picture": _picture("tasks", "Scores of every backbone at every task, with standard errors"),
            "table": f"{long}\n\n{_source(results, libraries=True)}",
        },
        "docs/race.md": {"replays": _replays(results)},
    }


def _replays(results: Results) -> str:
    """Races over the published records, without a budget and within some."""
    from bench.racing import DELTA, SEEDS, TOLERANCE
    from bench.racing.replay import replays
    from bench.racing.replays import markdown
    from bench.verdict.picking import Limit

    budgets = [[Limit.parse(text)] if text else [] for text in BUDGETS]
    return markdown([(limits, replays(results, limits, DELTA, TOLERANCE, SEEDS)) for limits in budgets])


def _dense(root: Path) -> Blocks:
    """The tables of tasks with heads, one for each file of records in docs/dense."""
    from bench.records.results import Results
    from bench.verdict.heads import heads
    from bench.verdict.table import rows

    blocks = dict.fromkeys(("machine", *DENSE), ABSENT)
    for name in DENSE:
        file = root / "docs" / "dense" / f"{name}.xz"
        if file.is_file():
            results = Results.load(file)
            blocks[name] = heads(rows(results)[0])
            blocks["machine"] = _source(results, libraries=True)
    return {"docs/dense.md": blocks}


def _tables(root: Path) -> Blocks:
    """Tables of cells that were timed, each of a file of records in docs."""
    from bench.records.results import Results
    from bench.verdict.costs import costs
    from bench.verdict.load import load
    from bench.verdict.table import rows

    blocks = {}
    for name, shown in (("load", load), ("diffusion", costs)):
        file = root / "docs" / f"{name}.xz"
        if file.is_file():
            results = Results.load(file)
            blocks[f"docs/{name}.md"] = {"machine": _source(results, libraries=True), name: shown(rows(results)[0])}
        else:
            blocks[f"docs/{name}.md"] = {"machine": ABSENT, name: ""}
    return blocks


def _cluster() -> Blocks:
    """How the published sweep would spread over many nodes."""
    from bench.cluster.simulate import HEADS, NODES, lines
    from bench.records.results import PUBLISHED, Results
    from bench.verdict.markdown import table

    made = table(HEADS, lines(Results.load(PUBLISHED), NODES), range(len(HEADS))) if PUBLISHED.is_file() else ""
    return {"docs/cluster.md": {"simulated": made}}


def _study() -> Blocks:
    """The rows of the study."""
    from bench.verdict.markdown import table
    from export.zoo.study import rows

    heads = ("in the study", "row here", "network", "pretraining", "data", "read by", "weights from", "licence", "note")
    lines = [(r.study, r.row, r.network, r.algo, r.data, r.loader, r.weights, r.licence, r.note) for r in rows(None)]
    return {"docs/study.md": {"rows": table(heads, lines)}}


def _filled(root: Path, documents: Blocks) -> dict[str, bytes]:
    """The documents with these blocks between their markers."""
    found = {}
    for document, blocks in documents.items():
        text = (root / document).read_text(encoding="utf-8")
        for name, block in blocks.items():
            begin, end = f"<!-- {name}: make readme -->\n", f"<!-- end of {name} -->"
            if text.count(begin) != 1 or text.count(end) != 1:
                raise UserError(
                    f"{root / document} has no place for the {name}.",
                    f"It stands between {begin.strip()} and {end}.",
                )
            inside = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
            text = inside.sub(lambda _, new=f"{begin}{block}\n{end}": new, text)  # type: ignore[misc]
        found[document] = text.encode()
    return found


def _picture(name: str, what: str) -> str:
    return (
        f'<picture>\n  <source media="(prefers-color-scheme: dark)" srcset="{name}-dark.svg">\n'
        f'  <img alt="{what}" src="{name}-light.svg" width="800">\n</picture>'
    )


def _source(results: Results, libraries: bool = False) -> str:
    """On what and when the records were made, and with which libraries."""
    from bench.records.record import TimingRecord

    newest = max(results.records, key=lambda r: (isinstance(r, TimingRecord), r.started_at))
    e = newest.environment
    cores = f"{e.cores} cores of {e.name}" if e.cores else e.name
    versions = ", ".join(f"{name} {version}" for name, version in e.libraries.items()) if libraries else ""
    return f"Measured on {cores}, {newest.started_at[:10]}" + (f", with {versions}." if versions else ".")


cli = console(main)

if __name__ == "__main__":
    cli()
