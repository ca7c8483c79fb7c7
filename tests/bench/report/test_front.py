from __future__ import annotations

import re
import sys
from dataclasses import replace

import numpy as np
import pytest
from fake_records import SMALL, Lab, made_up, sheet

from bench.records.parts import Keys
from bench.records.record import Record
from bench.records.results import Results
from bench.report.dots import dots
from bench.report.front import front, points
from bench.verdict.picking import pick
from bench.verdict.ranking import Ranking
from bench.verdict.table import sheet_of
from export.errors import Unavailable, UserError

COST = "latency_p50_ms"


def texts(svg: bytes) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]+)</text>", svg.decode())


def test_points_are_those_of_the_table() -> None:
    ranking = made_up()
    what = points(ranking, COST)
    assert list(what.rows) == [s.row for s in ranking.standings]
    assert list(what.y) == [s.z for s in ranking.standings]
    assert list(what.x) == ranking.sheet.cost(COST)[1][list(what.rows)].tolist()
    assert {row for row, on in zip(what.rows, what.front, strict=True) if on} == set(ranking.front(COST))
    assert what.rows[what.suggested] == pick(ranking, COST).row


def test_one_setting_is_drawn_in_its_own_unit() -> None:
    ranking = Ranking(made_up().sheet.only(["knn@drawings"]))
    what = points(ranking, COST)
    assert list(what.y) == ranking.sheet.values[list(what.rows), 0].tolist()
    assert list(what.error) == ranking.sheet.errors[list(what.rows), 0].tolist()
    assert "knn on drawings, %" in texts(front(ranking, COST, "light"))


def test_the_front_is_named_as_text_with_axes_and_legend() -> None:
    pytest.importorskip("matplotlib")
    ranking = made_up()
    svg = front(ranking, COST, "light", machine="Imaginary CPU")
    found = texts(svg)
    on = {str(ranking.sheet.labels[row]["backbone"]) for row in ranking.front(COST)}
    assert on <= set(found)
    assert {"Pareto front", "suggested cell", "± 1 standard error", "openvino:cpu", "ort:cpu"} <= set(found)
    assert "accuracy: mean z-score over 3 tasks" in found
    assert any("drawings (200 test images) · Imaginary CPU" in text for text in found)
    assert len(svg) < 100_000
    assert front(ranking, COST, "light", machine="Imaginary CPU") == svg, "the same bytes again"
    assert front(ranking, COST, "dark", machine="Imaginary CPU") != svg


def test_a_rate_and_a_table_without_errors_are_drawn_too() -> None:
    pytest.importorskip("matplotlib")
    assert b"images/s" in front(made_up(), "throughput_images_per_s", "dark")
    bare = front(Ranking(sheet([[0.9], [0.8]], costs=[3.0, 2.0])), "price", "light")
    assert "± 1 standard error" not in texts(bare)


def test_sizes_and_depths_of_one_backbone_are_joined() -> None:
    pytest.importorskip("matplotlib")
    records: list[Record] = []
    for side, depth in ((128, 0), (224, 0), (224, 1)):
        for record in SMALL.records():
            if record.cell.backbone == "made_up_base":
                cell = replace(record.cell, size=f"{side}x{side}", depth=depth)
                about = replace(record.about, input=(side, side))
                records.append(replace(record, cell=cell, about=about, keys=Keys(plan=f"{side} {depth}")))
    ranking = Ranking(sheet_of(Results(tuple(records))))
    found = texts(front(ranking, COST, "light"))
    assert {"one backbone, by input size", "one backbone, by depth", "128", "224", "1", "whole"} <= set(found)
    assert "made_up_base · 224x224 · depth 1" in texts(dots(ranking, "light"))
    assert "one backbone, by input size" not in texts(front(made_up(), COST, "light"))


def test_sixty_cells_stay_below_100_kb() -> None:
    pytest.importorskip("matplotlib")
    backbones = {f"made_up_backbone_{i}": (2.2 - i / 15, 3.0 + i, 5e6) for i in range(30)}
    ranking = Ranking(sheet_of(Results(tuple(replace(Lab(), backbones=backbones).records()))))
    assert len(front(ranking, COST, "light")) < 100_000


def test_tasks_are_panels_with_a_line_for_each_backbone() -> None:
    pytest.importorskip("matplotlib")
    found = texts(dots(made_up(), "light"))
    assert {"knn", "linear probe", "retrieval", *Lab().backbones, "ort:cpu · fp32"} <= set(found)


def test_without_a_cost_or_a_ranked_cell_there_is_no_picture() -> None:
    with pytest.raises(UserError, match="No ranked cell has a price"):
        points(Ranking(sheet([[1.0], [2.0]], costs=[np.nan, np.nan])), "price")
    records = [r for r in Lab().records() if type(r).__name__ == "TimingRecord"]
    with pytest.raises(UserError, match="No cell is ranked"):
        dots(Ranking(sheet_of(Results(tuple(records)))), "light")


def test_without_matplotlib_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(Unavailable, match="backbones-deployed\\[plot\\]"):
        front(made_up(), COST, "light")
