"""What the page knows of its cells, as JSON values: every column, who is ahead of whom, and lines along an axis."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from bench.verdict.axes import lines
from bench.verdict.cells import SHOWN_COSTS
from bench.verdict.digits import decimals, share
from bench.verdict.picking import Field
from bench.verdict.ranking import Ranking
from bench.verdict.row import Row
from bench.verdict.sheet import Column, Floats, label_text

CLEAN = "rank without the scores on test images that the pretraining data contain or may contain"
FIRST = "share of the bootstrap resamples in which this row's z is the highest; ties share it equally"
FILTERS = ("engine", "precision", "family", "licence", "input", "depth")


def order(ranking: Ranking) -> list[int]:
    """Rows of the sheet as the page has them: ranked ones, best first, then the others. A cell's place is its index."""
    return [s.row for s in ranking.standings] + [r for r in range(len(ranking.sheet.labels)) if r not in ranking.place]


def cells(ranking: Ranking, found: Sequence[Row], cost: str) -> dict[str, Any]:
    """Everything that the scripts compute with; lists run over places (:func:`order`).

    Returns:
        ``names``; ``ranked``, how many there are; ``columns`` of the table, each with its values, of which those with
        ``budget`` have a slider; ``filters``: column → its values; ``gains``: mean z as the front rounds it; ``ahead``:
        bits [ranked × ranked] in base64, row significantly better than column; ``lines``: axis → lists of places;
        ``cost``: the column that decides.
    """
    rows = order(ranking)
    place = {row: p for p, row in enumerate(rows)}
    field = Field(ranking, cost)
    columns = [*_names(ranking, found, rows), *_standings(ranking, rows), *_scores(ranking, rows)]
    columns += _costs(ranking, rows, cost)
    axes: dict[str, list[dict[str, Any]]] = {}
    for line in lines(ranking.sheet.labels, ranking.ranked):
        axes.setdefault(line.axis, []).append({"places": [place[row] for row in line.rows], "at": list(line.at)})
    by_id = {c["id"]: c for c in columns}
    return {
        "names": [ranking.sheet.name(row) for row in rows],
        "ranked": len(ranking.ranked),
        "columns": columns,
        "filters": [name for name in FILTERS if name in by_id and len(set(by_id[name]["values"])) > 1],
        "gains": field.gains.tolist(),
        "ahead": b64encode(np.packbits(field.ahead).tobytes()).decode(),
        "rows": field.rows.tolist(),
        "errors": ranking.has_errors,
        "lines": axes,
        "cost": cost,
    }


def _names(ranking: Ranking, found: Sequence[Row], rows: Sequence[int]) -> list[dict[str, Any]]:
    sheet = ranking.sheet
    standing = [ranking.by_row.get(row) for row in rows]
    columns = [_text("rank", [s.rank if s else "–" for s in standing], shown=True)]
    columns[0]["keys"] = [s.low + s.high / 1e4 if s else None for s in standing]
    if ranking.clean:
        clean = [ranking.clean_standing(row) for row in rows]
        texts = [s.rank if s else "–" for s in clean]
        keys = [s.low + s.high / 1e4 if s else None for s in clean]
        columns.append(_text("clean", texts, "without †‡", CLEAN, shown=True) | {"keys": keys})
    known = [sheet.labels[row] for row in rows]
    names = [str(k["backbone"]) + (" (untrained)" if k.get("untrained") else "") for k in known]
    columns.append(_text("backbone", names, shown=True))
    precisions = len({k.get("precision") for k in known}) > 1
    columns.append(_text("engine", [str(k.get("engine", "")) for k in known], shown=True))
    columns.append(_text("precision", [label_text(k, "precision") for k in known], shown=precisions))
    columns[-1]["keys"] = [str(k.get("precision", "")) for k in known]
    abouts = [found[row].about for row in rows]
    inputs = ["×".join(map(str, a.input)) if a.input else "–" for a in abouts]
    columns.append(_text("input", inputs, shown="input" in sheet.naming))
    columns[-1]["keys"] = [a.input[0] * a.input[1] if a.input else None for a in abouts]
    if len({k.get("depth") for k in known}) > 1:
        columns.append(_text("depth", [str(k.get("depth") or "whole") for k in known], shown=True))
    for name in ("preprocess", "batches", "threads"):
        if len({k.get(name) for k in known}) > 1:
            columns.append(_text(name, [str(k.get(name, "")) for k in known], shown=name in sheet.naming))
    columns.append(_text("family", [a.family or "–" for a in abouts]))
    columns.append(_text("licence", [a.licence or "–" for a in abouts]))
    reasons = [_reason(sheet.status[row], sheet.why[row]) for row in rows]
    if any(reasons):
        columns.append(_text("remark", reasons))
    return columns


def _reason(status: str, why: str) -> str:
    return why if status == "ok" else ": ".join(filter(None, (status, why)))


def _standings(ranking: Ranking, rows: Sequence[int]) -> list[dict[str, Any]]:
    standing = [ranking.by_row.get(row) for row in rows]
    columns = []
    if ranking.has_errors:
        first = [s.first_share if s else None for s in standing]
        texts = ["n/a" if v is None else share(v) for v in first]
        columns.append(_text("first", texts, "first", FIRST, shown=True) | {"keys": first, "unit": "%", "number": True})
    z = _number("z", "z", [s.z if s else None for s in standing], about="mean z-score over all settings", shown=True)
    columns.append(z | {"errors": _plain(s.z_error if s else None for s in standing), "places": 2, "score": True})
    ranks = [s.mean_rank if s else None for s in standing]
    columns.append(_number("mean_rank", "mean rank", ranks, higher=False) | {"places": 1})
    return columns


def _scores(ranking: Ranking, rows: Sequence[int]) -> list[dict[str, Any]]:
    sheet, columns = ranking.sheet, []
    for j, setting in enumerate(sheet.settings):
        values, errors = sheet.values[rows, j], sheet.errors[rows, j]
        one = _of(setting, values) | {"errors": _plain(errors), "places": decimals(values, errors), "score": True}
        marks = {p: sheet.mark(row, j) for p, row in enumerate(rows) if sheet.mark(row, j)}
        columns.append(one | {"shown": True} | ({"marks": marks} if marks else {}))
    return columns


def _costs(ranking: Ranking, rows: Sequence[int], cost: str) -> list[dict[str, Any]]:
    sheet, columns = ranking.sheet, []
    ranked = len(ranking.ranked)
    for j, column in enumerate(sheet.costs):
        values = sheet.cost_values[rows, j]
        known = values[~np.isnan(values)]
        if not len(known):
            continue
        short = column.priced or column.name in (*SHOWN_COSTS, "parameters_m", cost)
        budget = len(np.unique(values[:ranked][~np.isnan(values[:ranked])])) > 1
        exact = [None if math.isnan(v) else float(v) for v in values]  # limits compare as they do in Python
        columns.append(_of(column, values) | {"values": exact, "cost": True, "budget": budget, "shown": short})
    return columns


def _of(column: Column, values: Floats) -> dict[str, Any]:
    title = "\n".join(column.words) if column.task else column.title
    return _number(column.name, title, values, column.unit, column.about, column.higher_is_better)


def _number(
    name: str,
    title: str,
    values: Iterable[float | None],
    unit: str = "",
    about: str = "",
    higher: bool = True,
    shown: bool = False,
) -> dict[str, Any]:
    facts = {"id": name, "title": title, "unit": unit, "about": about, "higher": higher, "number": True, "shown": shown}
    return facts | {"values": _plain(values)}


def _text(name: str, values: Sequence[str], title: str = "", about: str = "", shown: bool = False) -> dict[str, Any]:
    return {"id": name, "title": title or name, "unit": "", "about": about, "values": list(values), "shown": shown}


def _plain(values: Iterable[float | None]) -> list[float | None]:
    return [None if v is None or math.isnan(v) else float(f"{v:.6g}") for v in values]
