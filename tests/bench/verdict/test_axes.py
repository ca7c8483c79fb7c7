from __future__ import annotations

from dataclasses import replace
from typing import Any

from fake_records import SMALL

from bench.records.record import Record
from bench.records.results import Results
from bench.verdict.axes import Line, lines
from bench.verdict.sheet import Sheet
from bench.verdict.table import sheet_of

ONE = SMALL.score("made_up_base", "ort:cpu", "knn")


def cell(side: int = 224, **cell: Any) -> Record:
    return replace(ONE, cell=replace(ONE.cell, **cell), about=replace(ONE.about, input=(side, side)))


def drawn(*records: Record) -> tuple[Sheet, list[Line]]:
    sheet = sheet_of(Results(records))
    return sheet, lines(sheet.labels)


def test_the_sizes_of_one_backbone_are_a_line_by_what_the_network_takes() -> None:
    sheet, found = drawn(cell(196, size="192x192"), cell(), cell(126, size="128x128"), cell(128, backbone="other"))
    [line] = found
    assert (line.axis, line.at) == ("size", ("126x126", "196x196", "224x224"))
    assert [sheet.labels[row]["input"] for row in line.rows] == ["128x128", "192x192", ""]
    assert line.shared["backbone"] == "made_up_base"
    assert lines(sheet.labels, [row for row in range(4) if sheet.labels[row]["input"]]) == [
        replace(line, rows=line.rows[:2], at=line.at[:2])
    ]


def test_the_depths_of_one_backbone_are_a_line_that_ends_in_the_whole() -> None:
    sheet, [line] = drawn(cell(depth=10), cell(), cell(depth=2))
    assert (line.axis, line.at) == ("depth", ("depth 2", "depth 10", "whole"))
    assert [sheet.name(row) for row in line.rows] == [
        "made_up_base · depth 2 · ort:cpu · fp32",
        "made_up_base · depth 10 · ort:cpu · fp32",
        "made_up_base · ort:cpu · fp32",
    ]


def test_a_line_is_of_one_axis_alone() -> None:
    grid = [cell(side, size=f"{side}x{side}", depth=depth) for side in (128, 224) for depth in (1, 2, 0)]
    found = drawn(*grid)[1]
    assert sorted((line.axis, len(line.rows)) for line in found) == [("depth", 3)] * 2 + [("size", 2)] * 3
    other = cell(128, size="128x128", precision="int8")
    assert drawn(cell(), other)[1] == []
    assert drawn(cell(), cell(128, size="128x128", resize="squash"))[1] == []
    assert drawn(cell(), cell(), cell(224, size="220x220"))[1] == []  # one input, asked for in two ways


def test_rows_whose_size_is_unknown_make_no_line() -> None:
    unknown = replace(cell(size="128x128"), about=replace(ONE.about, input=None))
    assert drawn(cell(), unknown)[1] == []
    assert lines([{"backbone": "a"}, {"backbone": "b"}]) == []
