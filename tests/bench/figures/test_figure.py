from __future__ import annotations

from pathlib import Path

import pytest

from bench.figures.figure import data_of, figure, lying_in, ratios


def test_sides_are_interleaved_and_take_turns_in_going_first() -> None:
    order: list[str] = []

    def side(name: str, value: float) -> float:
        order.append(name)
        return value

    assert ratios(lambda: side("left", 6.0), lambda: side("right", 3.0), 3) == [2.0] * 3
    assert order == ["left", "right", "right", "left", "left", "right"]


def test_a_figure_is_the_median_with_its_range() -> None:
    found = figure("f", [3.0, 1.0, 2.0, 9.0, 2.5], "≥ 2", lambda v: v >= 2, "so")
    assert (found.value, found.spread, found.reached) == (2.5, (1.0, 9.0), True)
    assert found.line == "f: 2.500 (1.000 … 9.000), target ≥ 2: reached"
    assert not figure("f", [1.0], "≥ 2", lambda v: v >= 2, "so").reached


def test_data_of_keeps_the_order() -> None:
    data = data_of([b"a", b"b", b"c"])
    assert [data.read(s.id) for s in data.samples] == [b"a", b"b", b"c"]


def test_what_is_left_out_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lying_in(tmp_path, "some.tar", "top1") is None
    assert "top1: left out: the folder given by --shared has no data/some.tar" in capsys.readouterr().err
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "some.tar").touch()
    assert lying_in(tmp_path, "some.tar", "top1") == tmp_path / "data" / "some.tar"
    assert capsys.readouterr().err == ""
