"""A ranking as people read it, on a terminal and as Markdown: folded to what decides, or whole."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TextIO

from bench.verdict.cells import folded, whole
from bench.verdict.fold import GAPS, ROWS, Part, fitting, shown_rows
from bench.verdict.lines import WIDTH, wrapped
from bench.verdict.markdown import bullets, table
from bench.verdict.markdown import html as html_table
from bench.verdict.ranking import Ranking

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

ALL = "bob rank --all"
FEW = 3
"""Names that a line may list; of more, the others are counted."""


def print_ranking(
    ranking: Ranking,
    cost: str = "",
    by: str = "z",
    file: TextIO | None = None,
    everything: bool = False,
    again: str = ALL,
) -> None:
    """Print the ranking: at most ten rows and 120 columns, and in a short foot what was left out.

    Args:
        cost: column for the front; empty for the default one, where there is a cost at all.
        file: standard output by default.
        everything: every row, column and note instead, as wide as they need.
        again: the command that shows everything, for the foot.
    """
    from rich.console import Console

    cost = cost or ranking.default_cost()
    if everything:
        parts, ranked = whole(ranking, cost, by)
        console = print_wide(_rich(parts, GAPS[0], ranked), file)
        lines = _aside(ranking) + ranking.foot(cost)
    else:
        console = Console(file=file, highlight=False)
        if not console.is_terminal or console.width > WIDTH:
            console.width = WIDTH
        console.print("\n".join(wrapped(_caption(ranking, by), console.width)), markup=False, end="\n\n")
        parts, gap, lines = _folded(ranking, cost, by, again, console.width)
        console.width = max(console.width, 1 + sum(part.width + gap for part in parts))
        console.print(_rich(parts, gap, len(parts[0].texts)))
        lines = [piece for line in lines for piece in wrapped(line)]
    for line in lines:
        console.print(line, markup=False, style="dim")


def print_wide(table: Table, file: TextIO | None = None) -> Console:
    """Print a table as wide as it needs to be: a number is never cut. Returns the console, for what follows."""
    from rich.console import Console
    from rich.measure import Measurement

    console = Console(file=file, highlight=False)
    needed = Measurement.get(console, console.options.update_width(10_000), table).maximum
    console.width = max(needed, console.width if console.is_terminal else WIDTH)
    console.print(table)
    return console


def markdown(
    ranking: Ranking, cost: str = "", by: str = "z", everything: bool = False, again: str = ALL, limit: int = ROWS
) -> str:
    """The ranking as a page shows it: the terminal's cells, then as a list what the terminal prints below them.

    Args:
        limit: rows of the folded table at most.
    """
    cost = cost or ranking.default_cost()
    if everything:
        parts, lines = whole(ranking, cost, by)[0], _aside(ranking) + ranking.foot(cost)
    else:
        parts, _, lines = _folded(ranking, cost, by, again, limit=limit)
    return table(*_content(parts)) + bullets(lines)


def html(ranking: Ranking) -> str:
    """The folded ranking as a notebook shows it."""
    parts, _, lines = _folded(ranking, ranking.default_cost(), "z", ALL)
    return html_table(*_content(parts), lines)


def _content(parts: Sequence[Part]) -> tuple[list[str], list[tuple[str, ...]], list[int]]:
    """Heads of one line, rows, and which columns are of numbers."""
    heads = [" ".join(part.head).replace(" /", "/") for part in parts]
    numbers = [i for i, part in enumerate(parts) if part.kind != "name"]
    return heads, list(zip(*(part.texts for part in parts), strict=True)), numbers


def _rich(parts: Sequence[Part], gap: int, ranked: int) -> Table:
    """The columns as a table; rows after the first ``ranked`` ones step back."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    found = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, gap - 1, 0, 0), header_style="bold")
    sides: dict[str, Literal["left", "center", "right"]] = {"name": "left", "mark": "center", "number": "right"}
    for part in parts:
        found.add_column(Text("\n".join(part.head)), justify=sides[part.kind], vertical="bottom", no_wrap=True)
    for number, row in enumerate(zip(*(part.texts for part in parts), strict=True)):
        if number == ranked:
            found.add_section()
        found.add_row(*map(Text, row), style="dim" if number >= ranked else "")
    return found


def _folded(
    ranking: Ranking, cost: str, by: str, again: str, width: int = WIDTH, limit: int = ROWS
) -> tuple[list[Part], int, list[str]]:
    """The columns that fit, the gap between them, and the lines of the foot."""
    rows = shown_rows(ranking, cost, by, limit)
    parts, elsewhere = folded(ranking, cost, by, rows)
    kept, gap, left_out = fitting(parts, width)
    lines = [_folded_rows(ranking, len(rows), again), _legend(ranking, cost, kept)]
    if left_out or elsewhere:
        named = ", ".join([*_few(left_out, "columns"), *elsewhere])
        lines.append(f"Columns not shown: {named}" + (" (--all)" if lines[0] else f": {again}"))
    lines += ranking.sheet.money
    lines += _few(ranking.sheet.remarks, "remarks on the data: --all")
    return kept, gap, list(filter(None, lines))


def _caption(ranking: Ranking, by: str) -> str:
    """What is ranked, and by what."""
    settings = ranking.sheet.settings
    n, one = len(ranking.ranked), settings[0] if settings else None
    if not n or one is None:
        return f"{len(ranking.sheet.labels)} cells, none of them ranked."
    kind = "cell" if "engine" in ranking.sheet.labels[0] else "row"
    if len(settings) == 1:
        scores = (one.task_name if one.task else one.name) + (f" on {one.data}" if one.data else "")
    else:
        what = "tasks" if one.task else "columns"
        scores = f"z, the mean z-score over {len(settings)} {what}"
        sets = dict.fromkeys(s.data for s in settings if s.data)
        sized = [f"{name} ({ranking.images(name):,} test images)" if ranking.images(name) else name for name in sets]
        scores += f" on {' and '.join(_few(sized, 'data sets'))}" if sets else ""
    order = "" if by in ("z", one.name) else f"; in the order of {by}"
    return f"{n} {kind}{'s' * (n != 1)} ranked by {scores}{order}."


def _few(names: Sequence[str], kind: str) -> list[str]:
    """The names, or where they are many the first and a count of the others."""
    return [*names] if len(names) <= FEW else [*names[:FEW], f"{len(names) - FEW} more {kind}"]


def _folded_rows(ranking: Ranking, shown: int, again: str) -> str:
    """How many rows are folded, and why some are not ranked."""
    parts = []
    if more := len(ranking.ranked) - shown:
        parts.append(f"and {more} more")
    if kinds := _not_ranked(ranking):
        parts.append("not ranked: " + ", ".join(f"{n} {kind}" for kind, n in kinds.items()))
    doubtful = sum(bool(flags) for flags in ranking.sheet.flags)
    if doubtful:
        parts.append(f"timings of {doubtful} cells noisy or disturbed")
    return f"{'; '.join(parts)}: {again}" if parts else ""


def _not_ranked(ranking: Ranking) -> Counter[str]:
    sheet, kinds = ranking.sheet, {"parity": "failed parity", "failed": "failed", "skipped": "skipped"}
    return Counter(
        "untrained" if sheet.labels[row].get("untrained") else kinds[status]
        for row, status in enumerate(sheet.status)
        if row not in ranking.ranked
    )


def _legend(ranking: Ranking, cost: str, parts: Sequence[Part]) -> str:
    """The signs that the folded table uses, and no others."""
    texts = " ".join(text for part in parts for text in part.texts)
    column = ranking.sheet.cost(cost)[0].title if cost else ""
    meanings = {
        "–": "Rank a–b: differences within this span are not significant.",
        "±": "±: one standard error.",
        "●": f"●: Pareto front of accuracy against {column}.",
        "*": "*: emulated by the engine.",
        "▼": "▼: over 1 point below fp32.",
        "†": "†: pretraining data contain test images.",
        "‡": "‡: pretraining data may contain test images.",
    }
    used = [meaning for sign, meaning in meanings.items() if sign in texts]
    if not ranking.has_errors and ranking.defined:
        used.insert(0, "The scores have no errors, so significance is not tested.")
    return " ".join(used)


def _aside(ranking: Ranking) -> list[str]:
    """Why rows are not ranked, and what is missing of ranked ones: one line a reason."""
    by_reason: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row, (status, why) in enumerate(zip(ranking.sheet.status, ranking.sheet.why, strict=True)):
        if why or status != "ok":
            kind = "incomplete" if status == "ok" else "not ranked" if status == "parity" else status
            by_reason[kind, why].append(ranking.sheet.name(row))
    lines = [f"{kind}: {', '.join(names)}: {why}" for (kind, why), names in by_reason.items()]
    flagged = [
        f"{ranking.sheet.name(row)} ({'; '.join(map(str, flags))})"
        for row, flags in enumerate(ranking.sheet.flags)
        if flags
    ]
    if len(flagged) > FEW:
        lines.append(f"{len(flagged)} cells have noisy or disturbed timings: the report and --json say how (flags)")
    elif flagged:
        lines.append(f"noisy or disturbed timings: {'; '.join(flagged)}")
    return lines
