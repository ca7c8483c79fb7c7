from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fake_records import Lab

from bench import report
from bench.records.record import Record
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
    about = {**lab.about(EVIL), "licence": EVIL, "source": {EVIL: EVIL}}
    records = [replace(r, backbone=about, environment={**r.environment, "processor": EVIL}) for r in lab.records()]
    page = read(results(*records, replace(broken, cell=lab.cell("also " + EVIL, "ort:cpu"))), tmp_path)
    assert sum(tag == "script" for tag, _ in page.tags) == 4
    assert not any("alert(1)</script>" in script for script in page.scripts)
    assert EVIL in " ".join(page.text)
    data = json.loads(next(s for s in page.scripts if s.startswith('{"x":')))
    assert any(EVIL in row["name"] for row in data["rows"])


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
    assert len(data["fronts"]) == len(data["x"]) * len(data["y"])
    names = [data["rows"][i]["name"] for i in data["fronts"]["latency_p50_ms z"]]
    assert names == [ranking.sheet.name(r) for r in ranking.front("latency_p50_ms")]
    fastest = data["fronts"]["throughput_images_per_s knn@drawings"][0]
    axis: dict[str, Any] = next(a for a in data["x"] if a["name"] == "throughput_images_per_s")
    assert axis["values"][fastest] == max(axis["values"])
    assert "latency_p99_ms" not in [a["name"] for a in data["x"]], "a column without a value cannot be an axis"


def test_distributions_are_small_and_true() -> None:
    found, _ = rows(results())
    curves = distributions(found)
    assert list(curves) == ["single_stream", "offline: batch 8"]
    curve = next(c for c in curves["single_stream"] if c["name"] == "made_up_base · ort:cpu · fp32")
    record = Lab().timing("made_up_base", "ort:cpu")
    samples = sorted(v for series in record.samples.values() for v in series)
    assert (curve["n"], len(curve["ms"])) == (300, STEPS + 1)
    assert curve["ms"][0] == pytest.approx(samples[0] / 1e6, rel=1e-3)
    assert curve["ms"][-1] == pytest.approx(samples[-1] / 1e6, rel=1e-3)
    median = record.metric("latency_p50_ms")
    assert median is not None
    assert curve["ms"][STEPS // 2] == pytest.approx(median.value, rel=1e-3)


@pytest.mark.parametrize("kind", ["score", "timing"])
def test_half_a_result_is_still_a_page(tmp_path: Path, kind: str) -> None:
    page = read(results(*(r for r in Lab().records() if r.kind == kind)), tmp_path)
    text = " ".join(page.text)
    assert ("Nothing could be ranked" in text) == (kind == "timing")
    assert "made_up_base" in text


def test_an_unknown_cost_a_missing_library_or_a_place_that_cannot_be_written_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="Unknown cost column"):
        report.write(results(), tmp_path / "x.html", cost="colour")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
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
