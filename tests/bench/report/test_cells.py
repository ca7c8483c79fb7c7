from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import replace

import numpy as np
import pytest
from fake_records import Lab

from bench.records.results import Results
from bench.report.cells import cells, order
from bench.report.packed import embedded
from bench.verdict.ranking import Ranking
from bench.verdict.row import Row
from bench.verdict.table import rows, sheet

COST = "latency_p50_ms"


def ranked() -> tuple[Ranking, list[Row]]:
    found, notes = rows(Results(tuple(Lab().records())))
    return Ranking(sheet(found, notes)), found


def test_every_cell_has_a_place_the_ranked_ones_first_and_every_column_a_value_for_it() -> None:
    ranking, found = ranked()
    known = cells(ranking, found, COST)
    assert json.loads(embedded(known)) == known
    assert known["ranked"] == len(ranking.ranked) == 10
    assert len(known["names"]) == len(found)
    assert known["names"][:10] == [ranking.sheet.name(s.row) for s in ranking.standings]
    assert {len(column["values"]) for column in known["columns"]} == {len(found)}
    by_id = {column["id"]: column for column in known["columns"]}
    assert len(by_id) == len(known["columns"])
    assert {"backbone", "z", "knn@drawings", COST, "parameters_m", "family", "licence", "remark"} <= set(by_id)
    assert "latency_p99_ms" not in by_id, "a column without a value cannot be shown"
    assert by_id["remark"]["values"][:10] == [""] * 10
    assert all(by_id["remark"]["values"][10:])


def test_costs_are_exact_for_they_are_compared_with_limits() -> None:
    ranking, found = ranked()
    known = cells(ranking, found, COST)
    [values] = [column["values"] for column in known["columns"] if column["id"] == COST]
    exact = ranking.sheet.cost(COST)[1][order(ranking)]
    assert values == [None if np.isnan(v) else v for v in exact]


def test_the_bits_say_who_is_significantly_ahead() -> None:
    ranking, found = ranked()
    known = cells(ranking, found, COST)
    n = known["ranked"]
    bits = np.unpackbits(np.frombuffer(b64decode(known["ahead"]), np.uint8))[: n * n].reshape(n, n)
    for i, one in enumerate(ranking.standings):
        assert [bool(b) for b in bits[i]] == [ranking.ahead(one.row, other.row) for other in ranking.standings]


@pytest.mark.parametrize("axis", ["size", "depth"])
def test_cells_that_differ_along_one_axis_alone_are_a_line(axis: str) -> None:
    records = []
    for step in (1, 2, 3):
        for r in Lab().records():
            cell = replace(r.cell, **({"size": f"{64 * step}x{64 * step}"} if axis == "size" else {"depth": step}))
            about = replace(r.about, input=(64 * step, 64 * step) if axis == "size" else (224, 224))
            records.append(replace(r, cell=cell, about=about, key=f"{r.key}{step}"))
    found, notes = rows(Results(tuple(records)))
    ranking = Ranking(sheet(found, notes))
    known = cells(ranking, found, COST)
    assert list(known["lines"]) == [axis]
    assert len(known["lines"][axis]) == 10
    for line in known["lines"][axis]:
        names = {known["names"][p].split(" · ")[0] for p in line["places"]}
        assert len(names) == 1
        sizes, depths = [f"{64 * k}x{64 * k}" for k in (1, 2, 3)], ["depth 1", "depth 2", "depth 3"]
        assert line["at"] == (sizes if axis == "size" else depths)
    assert {"size": "input", "depth": "depth"}[axis] in known["filters"]
