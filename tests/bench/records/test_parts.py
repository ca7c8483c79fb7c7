from __future__ import annotations

from dataclasses import replace

import pytest

from bench.records.parts import Cell, Environment, Extraction, Failure, ScenarioSubject, TaskSubject
from export.errors import CellError, Unavailable, UserError

CELL = Cell("b", "e:p", "fp32", "cpu", (1, 8), 2)
TASK = TaskSubject(task="knn", version=1, data="a→b|c@d", data_digest="0123")


@pytest.mark.parametrize(
    "change",
    [
        {"backbone": "c"},
        {"engine": "f:p"},
        {"precision": "int8"},
        {"preprocess": "cuda"},
        {"batches": (1,)},
        {"size": "128x128"},
        {"resize": "squash"},
        {"depth": 2},
    ],
)
def test_cells_are_told_apart_by_their_fields(change: dict[str, object]) -> None:
    other = replace(CELL, **change)  # type: ignore[arg-type]
    assert other != CELL
    assert other.identity != CELL.identity


def test_threads_make_no_other_cell() -> None:
    assert replace(CELL, threads=8).identity == CELL.identity


def test_names_that_join_alike_are_of_different_cells() -> None:
    one, other = Cell("a · b", "c", "d", "e", (1,), 2), Cell("a", "b · c", "d", "e", (1,), 2)
    assert str(one) == str(other)
    assert one.identity != other.identity


def test_a_subject_is_named_for_reading_and_known_by_its_fields() -> None:
    assert TASK.name == "knn@a→b|c@d"
    assert TASK.asked == {"task": "knn", "version": 1, "data_digest": "0123", "seed": 0}
    assert replace(TASK, data="renamed").asked == TASK.asked
    timed = ScenarioSubject(scenario="offline", version=2, data="a", data_digest="0123")
    assert timed.name == "offline"
    assert timed.asked == {"scenario": "offline", "version": 2, "data_digest": "0123"}


@pytest.mark.parametrize("error", [UserError("What.", "Why.", "do"), CellError("What.", "Why.", "do")])
def test_what_the_user_can_fix_has_three_lines_and_no_traceback(error: UserError) -> None:
    failure = Failure.of(error)
    assert failure == Failure(type(error).__name__, "What.", "Why.", "do")
    assert not failure.bug


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except type(error) as caught:
        return caught


def test_a_missing_library_is_no_bug() -> None:
    failure = Failure.of(raised(ModuleNotFoundError("No module named 'scipy'", name="scipy")))
    assert (failure.type, failure.remedy) == ("Unavailable", "pip install 'backbones-deployed[export]'")
    assert not failure.bug
    assert Failure.of(raised(ModuleNotFoundError("No module named 'bench.gone'", name="bench.gone"))).bug


def test_a_bug_says_its_first_line_and_keeps_its_traceback() -> None:
    failure = Failure.of(raised(ValueError("\n  shapes do not match \nsecond line")))
    assert (failure.type, failure.what, failure.why) == ("ValueError", "A bug: ValueError: shapes do not match", "")
    assert failure.bug
    assert "Traceback (most recent call last)" in failure.traceback
    assert "test_parts.py" in failure.traceback
    assert "second line" in failure.traceback
    assert "traceback in this record" in failure.remedy


def test_what_a_bug_was_raised_from_is_in_its_traceback() -> None:
    try:
        try:
            raise Unavailable("No device.")
        except Unavailable as error:
            raise KeyError("missing") from error
    except KeyError as caught:
        failure = Failure.of(caught)
    assert failure.bug
    assert "No device." in failure.traceback


@pytest.mark.parametrize(("error", "what"), [(KeyError(), "KeyError"), (RuntimeError(" \n"), "RuntimeError")])
def test_a_bug_without_words_is_called_by_its_type(error: Exception, what: str) -> None:
    assert Failure.of(raised(error)).what == f"A bug: {what}"


def test_a_bug_s_line_is_cut_where_it_is_endless() -> None:
    failure = Failure.of(raised(ValueError("x" * 5000)))
    assert len(failure.what) < 350
    assert "x" * 5000 in failure.traceback


def test_an_error_that_was_never_raised_is_a_bug_all_the_same() -> None:
    assert Failure.of(TypeError("made, not raised")).bug


def test_a_machine_is_called_by_its_board_where_it_tells() -> None:
    assert Environment(processor="p").name == "p"
    assert Environment(processor="p", board="b").name == "b"


def test_what_limits_a_machine_is_in_its_name() -> None:
    jetson = Environment(board="Orin", l4t="36.4.3", jetpack="6.2", power_mode="15W", clock_cap_mhz=(1510,))
    assert jetson.name == "Orin (JetPack 6.2, 15W, capped at 1510 MHz)"
    assert replace(jetson, jetpack="", clock_cap_mhz=()).name == "Orin (L4T 36.4.3, 15W)"
    assert Environment(processor="p", clock_cap_mhz=(1800, 1200)).name == "p (capped at 1800, 1200 MHz)"


def test_a_rate_needs_time() -> None:
    assert Extraction(30, 2.0).images_per_s == 15
    assert Extraction(30, 0.0).images_per_s == 0
