"""The page's table: every cell, every number, sortable; what is not in the short view can be unfolded."""

from __future__ import annotations

import math
from html import escape

from bench.verdict.cells import SHOWN_COSTS
from bench.verdict.digits import decimals, number, share
from bench.verdict.ranking import Ranking, Standing
from bench.verdict.sheet import Column, label_text

CLEAN = "rank without the scores on test images that the pretraining data contain or may contain"
FIRST = "share of the bootstrap resamples in which this row's z is the highest; ties share it equally"


def grid(ranking: Ranking, cost: str) -> str:
    """The table element; ranked rows first. Cells carry their value for the sorting script in ``data-v``."""
    sheet = ranking.sheet
    front = set(ranking.front(cost)) if cost else set()
    heads = [_head("rank", left=True)]
    heads += [_head("without †‡", left=True, about=CLEAN)] if ranking.clean else []
    heads += [_head(name, left=True) for name in ("backbone", "engine")]
    heads += [_head("precision", left=True, more=_one_precision(ranking))]
    heads += [_head("first", "%", FIRST)] if ranking.has_errors else []
    heads += [_head("z"), _head("mean rank")]
    heads += [_head("\n".join(s.words), s.unit, s.about) for s in sheet.settings]
    heads += [_head(c.title, c.unit, c.about, more=not _short(c, cost)) for c in sheet.costs]
    body = []
    by_row = {s.row: s for s in ranking.standings}
    aside = [r for r in range(len(sheet.labels)) if r not in by_row]
    for row in [s.row for s in ranking.standings] + aside:
        kind = "aside" if row in aside else "front" if row in front else ""
        body.append(f'<tr class="{kind}">{_cells(ranking, row, by_row.get(row), row in front, cost)}</tr>')
    head, rows = "".join(heads), "".join(body)
    return f'<table id="table" class="fewer"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _cells(ranking: Ranking, row: int, standing: Standing | None, on_front: bool, cost: str) -> str:
    sheet, label = ranking.sheet, ranking.sheet.labels[row]
    cells = [
        _rank(standing, " ●" if on_front else ""),
        *([_rank(ranking.clean_standing(row))] if ranking.clean else []),
        _text(
            str(label["backbone"]) + (" (untrained)" if label.get("untrained") else ""), str(label["backbone"]), "name"
        ),
        _text(str(label.get("engine", ""))),
        _text(label_text(label, "precision"), kind="more" if _one_precision(ranking) else ""),
        *([_share(standing)] if ranking.has_errors else []),
        _value(standing.z if standing else None, standing.z_error if standing else None, "{:.2f}"),
        _value(standing.mean_rank if standing else None, None, "{:.1f}"),
    ]
    for j in range(len(sheet.settings)):
        form = f"{{:.{decimals(sheet.values[:, j], sheet.errors[:, j])}f}}"
        cells.append(_value(sheet.values[row, j], sheet.errors[row, j], form, sheet.mark(row, j)))
    for j, column in enumerate(sheet.costs):
        value = sheet.cost_values[row, j]
        more = "" if _short(column, cost) else ' class="more"'
        shown = "" if math.isnan(value) else f' data-v="{value:.9g}"'
        cells.append(f"<td{more}{shown}>{number(value)}</td>")
    return "".join(cells)


def _share(standing: Standing | None) -> str:
    value = standing.first_share if standing else None
    return "<td>n/a</td>" if value is None else f'<td data-v="{value:.9g}">{escape(share(value))}</td>'


def _one_precision(ranking: Ranking) -> bool:
    return len({label.get("precision") for label in ranking.sheet.labels}) == 1


def _short(column: Column, cost: str) -> bool:
    return column.name in (*SHOWN_COSTS, cost, "parameters_m")


def _head(name: str, unit: str = "", about: str = "", left: bool = False, more: bool = False) -> str:
    kinds = " ".join(k for k, on in (("t", left), ("more", more)) if on)
    title = f' title="{escape(about)}"' if about else ""
    return f'<th class="{kinds}"{title}><button>{escape(name)}</button><small>{escape(unit) or "&nbsp;"}</small></th>'


def _text(text: str, value: str | float | None = None, kind: str = "") -> str:
    return f'<td class="t {kind}" data-v="{escape(str(text if value is None else value))}">{escape(text)}</td>'


def _rank(standing: Standing | None, mark: str = "") -> str:
    return _text(standing.rank + mark, standing.low + standing.high / 1000) if standing else _text("–")


def _value(value: float | None, error: float | None, form: str, mark: str = "") -> str:
    if value is None or math.isnan(value):
        return "<td>n/a</td>"
    spread = "" if error is None or math.isnan(error) else f' <span class="e">± {form.format(error)}</span>'
    return f'<td data-v="{value:.9g}">{form.format(value)}{spread}{f" {mark}" if mark else ""}</td>'
