from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fake_records import ODD, SMALL, Lab

from bench import report
from bench.records.parts import Failure
from bench.records.record import Record, ScoreRecord, TimingRecord
from bench.records.results import Results
from bench.report import __main__ as command
from export.errors import UserError

EVIL = "<script>alert(1)</script>"
SHELL = ("script", "style")


class Reader(HTMLParser):
    """The page's visible text, its scripts, its attributes, and whether every element is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.scripts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "input", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif self.open and self.open[-1] not in SHELL:
            self.text.append(data)


def results(*records: Record) -> Results:
    return Results(records or tuple(Lab().records()))


def read(found: Results, folder: Path) -> Reader:
    page = Reader(report.write(found, folder / "report.html").read_text())
    assert page.open == []
    return page


def test_the_page_says_the_verdict_and_lists_every_cell_with_its_reason(tmp_path: Path) -> None:
    page = read(results(), tmp_path)
    text = " ".join(page.text)
    assert "Ship made_up_base · openvino:cpu · fp32" in text
    assert "Untrained: random weights are timed, never scored." in text
    assert "Operator Einmal is unknown." in text
    assert "fails parity" in text
    assert "The knn protocol, in a sentence." in text
    assert "p90 64, p95 130, p99 662" in text
    assert "Imaginary CPU made-up-a" in text
    assert "CC0-1.0" in text


def test_the_page_needs_no_network(tmp_path: Path) -> None:
    page = read(results(), tmp_path)
    assert not [a for _, attrs in page.tags for a in attrs if a in ("src", "href", "srcset", "action")]
    assert not [tag for tag, _ in page.tags if tag in ("link", "img", "iframe", "base", "object")]
    [policy] = [a["content"] for t, a in page.tags if t == "meta" and "http-equiv" in a]
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy


def test_a_name_that_is_markup_stays_text(tmp_path: Path) -> None:
    lab = Lab(backbones={EVIL: (2.0, 9.0, 1e6), "b<i>&\"'": (1.0, 5.0, 1e6)}, data=EVIL)
    broken = lab.failure(lab.score(EVIL, "ort:cpu", "knn"), "failed", EVIL, EVIL)
    about = replace(lab.about(EVIL), licence=EVIL, source={EVIL: EVIL})
    records = [
        replace(r, about=about, environment=replace(r.environment, processor=EVIL), protocol=EVIL + r.protocol)
        for r in lab.records()
    ]
    bug = replace(broken, cell=lab.cell("also " + EVIL, "ort:cpu"), failure=Failure(EVIL, EVIL, EVIL, EVIL, EVIL))
    page = read(results(*records, bug), tmp_path)
    assert sum(tag == "script" for tag, _ in page.tags) == 6, "cells, script, distributions and three settings"
    assert not any("alert(1)</script>" in script for script in page.scripts)
    assert EVIL in " ".join(page.text)
    data = json.loads(next(s for s in page.scripts if s.startswith('{"names":')))
    assert any(EVIL in name for name in data["names"])


def sections(page: str) -> dict[str, str]:
    """The page's sections by their heading."""
    return dict(re.findall(r"<section><h2>(.*?)</h2>(.*?)</section>", page, re.DOTALL))


def bug(text: str) -> Failure:
    try:
        raise ValueError(text)
    except ValueError as error:
        return Failure.of(error)


def test_a_bug_is_counted_apart_and_shows_its_traceback_folded(tmp_path: Path) -> None:
    good = [SMALL.score("made_up_base", "ort:cpu", "knn"), SMALL.timing("made_up_base", "ort:cpu")]
    failed = [SMALL.failure(SMALL.score("made_up_base", "ort:cpu", t), "failed", "") for t in ("retrieval", "knn")]
    one, other = bug("shapes do not match\nin <einsum>"), Failure("CellError", "It is too large.", "8 GiB.", "fp16")
    cells = [SMALL.cell(name, "ort:cpu") for name in ("odd_one", "odd_two", "too_large")]
    records = [replace(r, cell=cell, failure=one, key=f"{cell} {r.key}") for cell in cells[:2] for r in failed]
    records += [replace(r, cell=cells[2], failure=other, key=f"large {r.key}") for r in failed]
    text = report.write(results(*good, *records), tmp_path / "report.html").read_text()
    found = sections(text)["Failed"]
    assert "<p>6 results failed, 4 of them by a bug.</p>" in found
    assert found.count("<li>") == 2
    assert found.count("<details>") == 1, "what the user can fix has no traceback"
    [trace] = re.findall(r"<details><summary>traceback</summary><pre>(.*?)</pre></details>", found, re.DOTALL)
    assert "<einsum>" not in trace
    assert unescape(trace) == one.traceback
    assert "<b>odd_one · ort:cpu · fp32</b> (knn@drawings, retrieval@drawings)" in found
    assert "<b>odd_two · ort:cpu · fp32</b>" in found
    assert "A bug: ValueError: shapes do not match" in found
    assert "It is too large. 8 GiB. Try: fp16" in found
    assert "odd_one" not in sections(text).get("Not ranked, or incomplete", "")


def test_one_failure_is_one_and_none_is_no_section(tmp_path: Path) -> None:
    good = [SMALL.score("made_up_base", "ort:cpu", "knn"), SMALL.timing("made_up_base", "ort:cpu")]
    text = report.write(results(*good), tmp_path / "none.html").read_text()
    assert "Failed" not in sections(text)
    bad = SMALL.failure(SMALL.score("made_up_base", "ort:cpu", "retrieval"), "failed", "It did not work.")
    text = report.write(results(*good, bad), tmp_path / "one.html").read_text()
    assert "<p>1 result failed.</p>" in sections(text)["Failed"]
    assert "incomplete: retrieval@drawings: It did not work." in sections(text)["Not ranked, or incomplete"]


def test_what_was_skipped_beside_a_failure_keeps_its_reason(tmp_path: Path) -> None:
    cell = SMALL.cell("half", "ort:cpu")
    bad = SMALL.failure(SMALL.score("made_up_base", "ort:cpu", "knn", cell=cell), "failed", "It did not work.")
    skipped = SMALL.failure(SMALL.timing("made_up_base", "ort:cpu", cell=cell), "skipped", "Not meant to be.")
    good = [SMALL.score("made_up_base", "ort:cpu", "knn"), SMALL.timing("made_up_base", "ort:cpu")]
    text = report.write(results(*good, bad, skipped), tmp_path / "report.html").read_text()
    assert (
        "<b>half · ort:cpu · fp32</b>, not ranked: Not meant to be.</li>" in sections(text)["Not ranked, or incomplete"]
    )


def test_a_data_set_is_one_whatever_its_name(tmp_path: Path) -> None:
    labs = [replace(Lab(), data=ODD), replace(Lab(), data="a", digest="ffff0000")]
    records = [*labs[0].records(), *(r for r in labs[1].records() if isinstance(r, ScoreRecord))]
    page = read(results(*records), tmp_path)
    text = " ".join(page.text)
    assert f"{ODD}: 400 train, 100 val, 200 test" in text
    assert f"knn on {ODD}" in text
    assert "knn on a" in text
    data = json.loads(next(s for s in page.scripts if s.startswith('{"names":')))
    assert {f"knn@{ODD}", "knn@a"} <= {column["id"] for column in data["columns"]}


@pytest.mark.parametrize("kind", [ScoreRecord, TimingRecord])
def test_half_a_result_is_still_a_page(tmp_path: Path, kind: type[Record]) -> None:
    page = read(results(*(r for r in Lab().records() if isinstance(r, kind))), tmp_path)
    text = " ".join(page.text)
    assert ("Nothing could be ranked" in text) == (kind is TimingRecord)
    assert "made_up_base" in text


def test_an_unknown_cost_or_a_place_that_cannot_be_written_are_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Unknown cost column"):
        report.write(results(), tmp_path / "x.html", cost="colour")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"Writing x\.html failed(.|\n)*file: it is no folder"):
        report.write(results(), tmp_path / "file" / "x.html")


def test_the_command_prints_the_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Lab().write(tmp_path)
    assert command.main([str(folder)]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path == folder / "report.html"
    assert path.stat().st_size < 3e5
