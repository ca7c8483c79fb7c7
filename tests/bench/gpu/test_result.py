"""What a step leaves, whatever becomes of its process."""

from __future__ import annotations

from pathlib import Path

from bench.figures.figure import Figure
from bench.gpu.result import Notes, Result, place, read, write

FIGURE = Figure("a ratio", 1.0, (0.9, 1.1), "≥ 0.7", True, "7 repeats")


def test_it_lies_there_as_it_grows(tmp_path: Path) -> None:
    notes = Notes(tmp_path, Result("tests", "cut", "it ended before it was through"))
    assert read(tmp_path, "tests") == notes.result
    notes.line("tests", "1 passed")
    notes.line("tests", "2 passed")
    notes.figure(FIGURE)
    found = read(tmp_path, "tests")
    assert found == notes.result
    assert found is not None
    assert found.lines == {"tests": "2 passed"}
    assert found.figures == (FIGURE,)
    assert found.state == "cut"


def test_what_is_no_result_is_none(tmp_path: Path) -> None:
    assert read(tmp_path, "table") is None
    write(tmp_path, Result("table", "done"))
    place(tmp_path, "table").write_text('{"step": "table"')
    assert read(tmp_path, "table") is None
