"""A ranking's columns as text, the same for a terminal and for a page."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from bench.records.energy import IDLE, PER_IMAGE, POWER
from bench.verdict.digits import decimals, number, share, with_error
from bench.verdict.fold import Kind, Part
from bench.verdict.ranking import LATENCY, Ranking, Standing
from bench.verdict.sheet import Column, label_text

SHOWN_COSTS = (
    "latency_p50_ms",
    "latency_p99_ms",
    "multi_stream_p50_ms",
    "throughput_images_per_s",
    "server_images_per_s",
    "soak_start_p50_ms",
    "soak_end_p50_ms",
    "end_to_end_p50_ms",
    "peak_memory_mib",
    "plan_mib",
    POWER,
    IDLE,
    "search_p50_ms",
    "index_mib",
    "search_int8_p50_ms",
    "index_int8_mib",
    "search_binary_p50_ms",
    "index_binary_mib",
)
"""Costs of the whole table, where they were measured; files hold all."""
CAMERA = re.compile(r"camera_\d+fps_p50_ms")
"""So are those of the scenario camera, whose rates a user chooses."""
SHORT = {
    "latency_p50_ms": ("p50", "ms"),
    "throughput_images_per_s": ("images", "/s"),
    "server_images_per_s": ("server", "/s"),
    PER_IMAGE: ("energy", "mJ/image"),
    "peak_memory_mib": ("memory", "MiB"),
}
"""Costs of the folded table, with their heads."""
SETTINGS = 4
"""Settings of the folded table that are left out only after memory and throughput."""
PRICED = 4
"""Columns of money of the folded table; the others only the whole table has."""


def folded(ranking: Ranking, cost: str, by: str, rows: Sequence[Standing]) -> tuple[list[Part], list[str]]:
    """The columns of the folded table, before any is left out for want of space, and the titles of those that only
    the whole table has; ``cost`` may be empty."""
    sheet, front = ranking.sheet, set(ranking.front(cost)) if cost else set()
    parts = [_part("rank", rows, lambda s: s.rank + (" ●" if s.row in front else ""), "name")]
    parts += [_part(k, rows, lambda s, k=k: label_text(sheet.labels[s.row], k), "name") for k in sheet.naming]  # type: ignore[misc]
    if len(sheet.settings) > 1:
        parts.append(_part("z", rows, lambda s: with_error(s.z, s.z_error, 2), last=0 if by == "z" else 30))
    one_set = len({setting.data for setting in sheet.settings}) == 1
    for j, setting in enumerate(sheet.settings):
        last = 0 if setting.name == by else 100 + j if j >= SETTINGS else 20 + j
        parts.append(_score(ranking, j, rows, _heads(setting, one_set), last))
    measured = {column.name for column in sheet.costs}
    priced = [column.name for column in sheet.costs if column.priced][:PRICED]
    wanted = (*priced, *SHORT, *_with_heads(ranking), *([cost] if cost else []))
    shown = [name for name in dict.fromkeys(wanted) if name in measured]
    for order, name in enumerate(shown):
        column, values = sheet.cost(name)
        head = SHORT.get(name) or _halves(column)
        texts = tuple(number(values[s.row]) for s in rows)
        last = 0 if name in (cost, by) else 10 * (order + 1) if name in priced else 40 + order
        parts.append(Part(column.title, head, texts, last=last))
    others = [c.title for c in _shown(ranking, cost) if c.name not in shown]
    return parts, [*(["first %"] if ranking.has_errors else []), "mean rank", *others]


def whole(ranking: Ranking, cost: str, by: str) -> tuple[list[Part], int]:
    """All columns and all rows: ranked ones in the order of ``by``, then the others; and how many are ranked."""
    sheet, front = ranking.sheet, set(ranking.front(cost)) if cost else set()
    ranked = ranking.ordered(by)
    rows: list[tuple[int, Standing | None]] = [(s.row, s) for s in ranked]
    rows += [(row, None) for row in range(len(sheet.labels)) if row not in ranking.ranked]

    def of_ranked(text: Callable[[Standing], str], other: str = "–") -> tuple[str, ...]:
        return tuple(text(s) if s else other for _, s in rows)

    parts = [Part("rank", ("rank",), of_ranked(lambda s: s.rank), "name")]
    if ranking.clean:
        without = [ranking.clean_standing(row) for row, _ in rows]
        texts = tuple(s.rank if s else "–" for s in without)
        parts.append(Part("rank without †‡", ("rank", "without", "†‡"), texts, "name"))
    for k in sheet.naming:
        parts.append(Part(k, (k,), tuple(label_text(sheet.labels[row], k) for row, _ in rows), "name"))
    if ranking.has_errors:
        parts.append(Part("first %", ("first", "%"), of_ranked(lambda s: share(s.first_share))))
    parts.append(Part("z", ("z",), of_ranked(lambda s: with_error(s.z, s.z_error, 2))))
    parts.append(Part("mean rank", ("mean", "rank"), of_ranked(lambda s: f"{s.mean_rank:.1f}")))
    indices = [row for row, _ in rows]
    for j, setting in enumerate(sheet.settings):
        parts.append(Part(setting.title, _halves(setting), _scores(ranking, j, indices)))
    for column in _shown(ranking, cost):
        values = sheet.cost(column.name)[1]
        parts.append(Part(column.title, _halves(column), tuple(number(values[row]) for row in indices)))
    if cost:
        parts.append(Part("front", ("front",), tuple("●" if row in front else "" for row in indices), "mark"))
    return parts, len(ranked)


def _part(
    name: str, rows: Sequence[Standing], text: Callable[[Standing], str], kind: Kind = "number", last: int = 0
) -> Part:
    return Part(name, (name,), tuple(map(text, rows)), kind, last)


def _shown(ranking: Ranking, cost: str) -> list[Column]:
    columns = {c.name: c for c in ranking.sheet.costs}
    energies = [name for name in columns if name.rpartition(".")[2] == PER_IMAGE]
    cameras = [name for name in columns if CAMERA.fullmatch(name)]
    names = [n for n, c in columns.items() if c.priced]
    names += [n for n in SHOWN_COSTS if n in columns] + cameras + energies + _with_heads(ranking)
    return [columns[n] for n in (names if cost in names or not cost else [*names, cost])]


def _with_heads(ranking: Ranking) -> list[str]:
    """The median latencies of backbones with a task's head."""
    return [c.name for c in ranking.sheet.costs if c.name == f"{c.head}.{LATENCY}"]


def _score(ranking: Ranking, j: int, rows: Sequence[Standing], head: tuple[str, ...], last: int) -> Part:
    return Part(ranking.sheet.settings[j].title, head, _scores(ranking, j, [s.row for s in rows]), last=last)


def _scores(ranking: Ranking, j: int, rows: Sequence[int]) -> tuple[str, ...]:
    sheet = ranking.sheet
    places = decimals(sheet.values[:, j], sheet.errors[:, j])
    shown = [(with_error(sheet.values[row, j], sheet.errors[row, j], places), sheet.mark(row, j)) for row in rows]
    return tuple(f"{score} {mark}".rstrip() for score, mark in shown)


def _heads(setting: Column, one_set: bool) -> tuple[str, ...]:
    """A narrow head: the task's words below each other, then the data set where there are several, then the unit."""
    if not setting.task:
        return _halves(setting)
    words = setting.task_name.split()
    return (*words, *([] if one_set else [setting.data]), *([setting.unit] if setting.unit else []))


def _halves(column: Column) -> tuple[str, ...]:
    """A head of three lines: the name over two of them, the unit in the third."""
    words = column.words
    halves = [(" ".join(words[:i]), " ".join(words[i:])) for i in range(1, len(words) + 1)]
    first, second = min(halves, key=lambda half: max(map(len, half)))
    return tuple(filter(None, (first, second, column.unit)))
