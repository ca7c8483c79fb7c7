from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from fake_records import ODD
from hypothesis import given
from hypothesis import strategies as st

from bench.verdict.markdown import bullets, cell, html, table

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


class Cells(HTMLParser):
    """The text of every cell of a page's tables, in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._inside = tag in ("td", "th")
        if self._inside:
            self.found.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.found[-1] += data


NAME = st.text('ab|→@<&>" é', min_size=1, max_size=6)


@given(st.lists(st.lists(NAME, min_size=2, max_size=2), min_size=1, max_size=3))
def test_html_has_the_cells_of_the_table(rows: list[list[str]]) -> None:
    assert Cells(html(["a", "b"], rows, [1])).found == [
        "a",
        "b",
        *(text for row in rows for text in row),
    ]


def test_html_of_a_page() -> None:
    page = html(["name", "ms"], [["a<b", "1"]], [1], ["one & one", "two"])
    assert page.splitlines() == [
        '<table><thead><tr><th style="text-align: left">name</th><th style="text-align: right">ms</th></tr></thead>'
        '<tbody><tr><td style="text-align: left">a&lt;b</td><td style="text-align: right">1</td></tr></tbody></table>',
        "<ul><li>one &amp; one</li><li>two</li></ul>",
    ]
