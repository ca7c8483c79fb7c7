from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fake_records import ODD, SMALL, Lab

from bench import report
from bench.records.parts import Failure
from bench.records.record import Record, ScoreRecord, TimingRecord
from bench.records.results import Results
from bench.report import __main__ as command
from bench.report.plots import STEPS, distributions, embedded, points
from bench.verdict.ranking import Ranking
from bench.verdict.table import rows, sheet
from export.errors import Unavailable, UserError

pytest.importorskip("plotly")

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
    assert sum(tag == "tr" for tag, _ in page.tags[: [t for t, _ in page.tags].index("footer")]) > 14


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
    assert sum(tag == "script" for tag, _ in page.tags) == 4
    assert not any("alert(1)</script>" in script for script in page.scripts)
    assert EVIL in " ".join(page.text)
    data = json.loads(next(s for s in page.scripts if s.startswith('{"x":')))
    assert any(EVIL in row["name"] for row in data["rows"])


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
    assert "Traceback" not in sections(text)["All cells"]


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
    data = json.loads(next(s for s in page.scripts if s.startswith('{"x":')))
    names = [axis["name"] for axis in data["y"]]
    assert {f"knn@{ODD}", "knn@a"} <= set(names)
    assert set(data["fronts"]["latency_p50_ms"]) == set(names)


def test_embedded_json_cannot_end_its_element() -> None:
    values = {"</script><!--": ["\u2028", "é", 1.5, None]}
    text = embedded(values)
    assert "<" not in text
    assert json.loads(text) == values


def test_the_plot_holds_every_ranked_row_and_the_front_of_every_pair() -> None:
    found, notes = rows(results())
    ranking = Ranking(sheet(found, notes))
    data = points(ranking, "latency_p50_ms")
    assert len(data["rows"]) == len(ranking.ranked) == 10
    assert list(data["fronts"]) == [x["name"] for x in data["x"]]
    assert all(list(of) == [y["name"] for y in data["y"]] for of in data["fronts"].values())
    names = [data["rows"][i]["name"] for i in data["fronts"]["latency_p50_ms"]["z"]]
    assert names == [ranking.sheet.name(r) for r in ranking.front("latency_p50_ms")]
    fastest = data["fronts"]["throughput_images_per_s"]["knn@drawings"][0]
    axis: dict[str, Any] = next(a for a in data["x"] if a["name"] == "throughput_images_per_s")
    assert axis["values"][fastest] == max(axis["values"])
    assert "latency_p99_ms" not in [a["name"] for a in data["x"]], "a column without a value cannot be an axis"


def test_distributions_are_small_and_true() -> None:
    found, _ = rows(results())
    curves = distributions(found)
    assert list(curves) == ["single_stream", "offline: batch 8"]
    curve = next(c for c in curves["single_stream"] if c["name"] == "made_up_base · ort:cpu · fp32")
    record = Lab().timing("made_up_base", "ort:cpu")
    samples = sorted(v for series in record.series for v in series.samples)
    assert (curve["n"], len(curve["ms"])) == (300, STEPS + 1)
    assert curve["ms"][0] == pytest.approx(samples[0] / 1e6, rel=1e-3)
    assert curve["ms"][-1] == pytest.approx(samples[-1] / 1e6, rel=1e-3)
    median = record.metric("latency_p50_ms")
    assert median is not None
    assert curve["ms"][STEPS // 2] == pytest.approx(median.value, rel=1e-3)


@pytest.mark.parametrize("kind", [ScoreRecord, TimingRecord])
def test_half_a_result_is_still_a_page(tmp_path: Path, kind: type[Record]) -> None:
    page = read(results(*(r for r in Lab().records() if isinstance(r, kind))), tmp_path)
    text = " ".join(page.text)
    assert ("Nothing could be ranked" in text) == (kind is TimingRecord)
    assert "made_up_base" in text


def test_an_unknown_cost_a_missing_library_or_a_place_that_cannot_be_written_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="Unknown cost column"):
        report.write(results(), tmp_path / "x.html", cost="colour")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"Writing x\.html failed(.|\n)*file: it is no folder"):
        report.write(results(), tmp_path / "file" / "x.html")
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(Unavailable, match=r"backbones-deployed\[report\]"):
        report.write(results(), tmp_path / "x.html")


def test_the_command_prints_the_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Lab().write(tmp_path)
    assert command.main([str(folder)]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path == folder / "report.html"
    assert path.stat().st_size < 8e6


BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PROBE = """
<script>
addEventListener("load", () => {
  const points = () => document.querySelectorAll("#front .scatterlayer .point").length;
  const axis = () => document.querySelector("#front .g-xtitle").textContent;
  const before = axis(), x = document.getElementById("x");
  x.value = "throughput_images_per_s"; x.dispatchEvent(new Event("change"));
  const order = () => [...document.querySelectorAll("#table tbody tr")].map((r) => r.children[1].dataset.v);
  const unsorted = order();
  document.querySelectorAll("#table th button")[1].click();
  document.body.dataset.probe = JSON.stringify({
    points: points(), before, after: axis(),
    sorted: order().join() === [...unsorted].sort((a, b) => a.localeCompare(b)).join(),
    curves: document.querySelectorAll("#curves .scatterlayer .trace").length,
    overflow: document.documentElement.scrollWidth > document.documentElement.clientWidth,
    ran: window.ran ?? false,
  });
});
</script>
"""


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="needs a Chromium to open the page in")
def test_the_page_draws_answers_and_fits_in_a_browser(tmp_path: Path) -> None:
    assert BROWSER is not None
    lab = Lab(backbones={**Lab().backbones, "<img src=x onerror='window.ran = true'>": (2.3, 1.0, 1e6)})
    text = report.write(results(*lab.records()), tmp_path / "report.html").read_text()
    (tmp_path / "probe.html").write_text(text.replace("</body>", PROBE + "</body>"))
    quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    place = [f"--user-data-dir={tmp_path / 'profile'}", (tmp_path / "probe.html").as_uri()]
    done = subprocess.run(
        [BROWSER, *quiet, "--virtual-time-budget=8000", "--window-size=500,900", "--dump-dom", *place],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    told = re.search(r'data-probe="([^"]*)"', done.stdout)
    assert told, done.stderr[-500:]
    found = json.loads(told[1].replace("&quot;", '"'))
    assert found == {
        "points": 12,
        "before": "latency_p50_ms [ms]",
        "after": "throughput_images_per_s [images/s]",
        "sorted": True,
        "curves": 14,
        "overflow": False,
        "ran": False,
    }
