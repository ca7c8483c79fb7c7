from __future__ import annotations

import re

import pytest
from fake_records import ODD
from hypothesis import given
from hypothesis import strategies as st

from bench.verdict.markdown import bullets, cell, table

ROW = st.lists(st.text("ab|→@ \\\n", max_size=6), min_size=3, max_size=3)


def test_a_table_has_a_rule_below_its_heads_and_numbers_to_the_right() -> None:
    found = table(["name", "ms", "note"], [["a", "1.5", ""], ["b", "12.0", "slow"]], numbers=[1])
    assert found.splitlines() == [
        "| name | ms | note |",
        "| --- | --: | --- |",
        "| a | 1.5 |  |",
        "| b | 12.0 | slow |",
    ]
    assert table(["name"], []).splitlines() == ["| name |", "| --- |"]


@given(ROW, st.lists(ROW, max_size=3))
def test_no_text_ends_a_cell_or_a_line(heads: list[str], rows: list[list[str]]) -> None:
    lines = table(heads, rows).split("\n")
    assert len(lines) == len(rows) + 2
    for line in lines:
        assert len(re.findall(r"(?<!\\)\|", line)) == len(heads) + 1


def test_a_name_stays_what_it_is() -> None:
    assert cell(ODD) == "a→b\\|c@d"
    assert cell("two\nlines") == "two lines"


@pytest.mark.parametrize("row", [["a"], ["a", "b", "c"]])
def test_a_row_that_does_not_fit_is_a_bug(row: list[str]) -> None:
    with pytest.raises(ValueError, match=f"a row has {len(row)} cells, the table 2 columns"):
        table(["one", "two"], [row])


def test_notes_below_a_table_are_a_list_of_their_own() -> None:
    assert table(["a"], [["b"]]) + bullets(["one", "two\nlines"]) == "| a |\n| --- |\n| b |\n\n- one\n- two lines"
    assert bullets([]) == ""
