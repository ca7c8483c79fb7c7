"""A ranking as people read it: on a terminal, as Markdown, and numbers in three significant digits."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TextIO

from bench.verdict.markdown import bullets, table
from bench.verdict.ranking import Ranking, Standing
from bench.verdict.sheet import Column, label_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

SHOWN_COSTS = (
    "latency_p50_ms",
    "latency_p99_ms",
    "throughput_images_per_s",
    "end_to_end_p50_ms",
    "peak_memory_mib",
    "plan_mib",
    "search_p50_ms",
    "index_mib",
    "search_int8_p50_ms",
    "index_int8_mib",
    "search_binary_p50_ms",
    "index_binary_mib",
)
"""Costs that the terminal shows, where they were measured; files hold all."""
FRONT = ("front",)


def print_ranking(ranking: Ranking, cost: str = "", by: str = "z", file: TextIO | None = None) -> None:
    """Print the ranking: ranked rows, then the others, then how the numbers came about.

    Args:
        cost: column for the front; empty for the default one, where there is a cost at all.
        file: standard output by default.
    """
    cost = cost or ranking.default_cost()
    console = print_wide(rich_table(ranking, cost, by), file)
    for line in _aside(ranking):
        console.print(line, markup=False)
    for line in ranking.foot(cost):
        console.print(line, markup=False, style="dim")


def print_wide(table: Table, file: TextIO | None = None) -> Console:
    """Print a table as wide as it needs to be: a number is never cut. Returns the console, for what follows."""
    from rich.console import Console
    from rich.measure import Measurement

    console = Console(file=file, highlight=False)
    needed = Measurement.get(console, console.options.update_width(10_000), table).maximum
    console.width = max(needed, console.width if console.is_terminal else 120)
    console.print(table)
    return console


@dataclass(frozen=True)
class Cells:
    """The ranking as text, the same for a terminal and for a page.

    Attributes:
        heads: the lines of each column's, three at most; the first ``names`` columns are names, the others numbers.
        ranked, aside: the cells of each row: ranked ones, best first, and those that are not ranked.
    """

    heads: tuple[tuple[str, ...], ...]
    names: int
    ranked: tuple[tuple[str, ...], ...]
    aside: tuple[tuple[str, ...], ...]


def cells(ranking: Ranking, cost: str, by: str) -> Cells:
    """What a table of the ranking shows; ``cost`` may be empty."""
    sheet = ranking.sheet
    costs = [(c, sheet.cost(c.name)[1]) for c in _shown(ranking, cost)]
    front = set(ranking.front(cost)) if cost else set()
    labels = [k for k in ("backbone", "engine", "precision") if k in sheet.labels[0]]
    names = [("rank",), *([("rank", "without", "†‡")] if ranking.clean else []), *((k,) for k in labels)]
    heads = [("first", "%"), ("z",), ("mean", "rank"), *map(_head, sheet.settings), *(_head(c) for c, _ in costs)]

    def of(row: int, standing: Standing | None) -> tuple[str, ...]:
        shown = [standing.rank if standing else "–"]
        if ranking.clean:
            without = ranking.clean_standing(row)
            shown += [without.rank if without else "–"]
        shown += [label_text(sheet.labels[row], k) for k in labels]
        shown += [share(standing.first_share) if standing else "–"]
        shown += [_with_error(standing.z, standing.z_error, 2) if standing else "–"]
        shown += [f"{standing.mean_rank:.1f}" if standing else "–"]
        for j in range(len(sheet.settings)):
            score = _with_error(sheet.values[row, j], sheet.errors[row, j], 1)
            shown += [f"{score} {sheet.mark(row, j)}".rstrip()]
        shown += [number(values[row]) for _, values in costs]
        return (*shown, *(["●" if row in front else ""] if cost else []))

    return Cells(
        (*names, *heads, *([FRONT] if cost else [])),
        len(names),
        tuple(of(standing.row, standing) for standing in ranking.ordered(by)),
        tuple(of(row, None) for row in range(len(sheet.labels)) if row not in ranking.ranked),
    )


def rich_table(ranking: Ranking, cost: str, by: str) -> Table:
    """The ranking as a table for a terminal; ``cost`` may be empty."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    shown = cells(ranking, cost, by)
    found = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for number, head in enumerate(shown.heads):
        justify: Literal["left", "center", "right"] = "right"
        if number < shown.names:
            justify = "left"
        elif head == FRONT:
            justify = "center"
        found.add_column(Text("\n".join(head)), justify=justify, no_wrap=True)
    for row in shown.ranked:
        found.add_row(*map(Text, row))
    found.add_section()
    for row in shown.aside:
        found.add_row(*map(Text, row), style="dim")
    return found


def markdown(ranking: Ranking, cost: str = "", by: str = "z") -> str:
    """The ranking as a page shows it: the terminal's cells, then as a list what the terminal prints below them."""
    cost = cost or ranking.default_cost()
    shown = cells(ranking, cost, by)
    heads = [" ".join(filter(None, head)) for head in shown.heads]
    numbers = range(shown.names, len(heads))
    below = bullets([*_aside(ranking), *ranking.foot(cost)])
    return table(heads, [*shown.ranked, *shown.aside], numbers) + below


def _shown(ranking: Ranking, cost: str) -> list[Column]:
    columns = {c.name: c for c in ranking.sheet.costs}
    names = [n for n in SHOWN_COSTS if n in columns]
    return [columns[n] for n in (names if cost in names or not cost else [*names, cost])]


def _head(column: Column) -> tuple[str, str, str]:
    """A head's three lines: the name over two of them, the unit in the third."""
    words = column.words
    halves = [(" ".join(words[:i]), " ".join(words[i:])) for i in range(1, len(words) + 1)]
    first, second = min(halves, key=lambda half: max(map(len, half)))
    return first, second, column.unit


def _with_error(value: float | None, error: float | None, digits: int) -> str:
    if value is None or value != value:
        return "n/a"
    return f"{value:.{digits}f}" + (f" ± {error:.{digits}f}" if error is not None and error == error else "")


def number(value: float) -> str:
    """Three significant digits, all digits before the point: 0.0123, 4.57, 12.3, 1,234; unknown is ``n/a``."""
    if value != value:
        return "n/a"
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{digits}f}"


def share(value: float | None) -> str:
    """A part of one as whole percent; more than nothing is never shown as 0, less than all never as 100."""
    if value is None:
        return "n/a"
    if 0 < value < 0.005:
        return "< 1"
    return "> 99" if 0.995 <= value < 1 else f"{100 * value:.0f}"


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
    if len(flagged) > 3:
        lines.append(
            f"timings to doubt: {len(flagged)} cells, noisy or disturbed; the report and --json say how (flags)"
        )
    elif flagged:
        lines.append(f"timings to doubt: {'; '.join(flagged)}")
    return lines
