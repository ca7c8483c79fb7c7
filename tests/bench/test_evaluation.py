"""The door for Python: on made-up records, and the document's example on real engines."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from fake_records import Lab
from fakes import photograph
from project import ROOT

import bench
from bench import Evaluation, evaluate
from bench.evaluation import FRAMES
from bench.rank import main as rank
from bench.records.record import Record
from bench.verdict.picking import suggestion
from export.errors import UserError

DOCUMENT = (ROOT / "docs" / "python.md").read_text()
TINY = "nets:tiny"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Lab().write(tmp_path_factory.mktemp("results"))


def without(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr("bench.evaluation.find_spec", lambda name: None if name in names else True)


def test_the_table_is_a_frame_of_what_is_installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Evaluation.open(folder)
    rows = found.rows()
    pandas, polars = map(pytest.importorskip, FRAMES)
    frame = found.table()
    assert isinstance(frame, pandas.DataFrame)
    assert frame["backbone"].tolist() == [row["backbone"] for row in rows]
    assert frame["z"].dtype == "float64"
    without(monkeypatch, "pandas")
    frame = found.table()
    assert isinstance(frame, polars.DataFrame)
    assert frame.to_dicts() == rows
    without(monkeypatch, "pandas", "polars")
    assert found.table() == rows


def test_the_rows_are_those_of_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rank([str(folder), "--json", "--cost", "throughput_images_per_s"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == Evaluation.open(folder).rows("throughput_images_per_s")


def test_the_pick_keeps_the_limits(folder: Path) -> None:
    found = Evaluation.open(folder)
    free, cheap = found.pick(), found.pick(max={"latency_p50_ms": 5})
    assert free.labels["backbone"] == "made_up_base"
    assert cheap.labels["backbone"] == "made_up_small"
    assert str(cheap).splitlines() == list(cheap.sentences)
    assert cheap.sentences[0].startswith("Ship made_up_small")
    assert [limit["column"] for limit in cheap.limits] == ["latency_p50_ms"]
    assert cheap.limits[0]["binding"]
    assert cheap.labels in [span["cell"] for span in cheap.budgets]
    assert all(step["more"] > 0 for step in cheap.ladder)
    assert cheap.best in cheap.tied
    assert cheap.cost == "latency_p50_ms"
    rows = {(row["backbone"], row["engine"]): row for row in found.rows()}
    fast = found.pick(min={"throughput_images_per_s": 100}, cost="throughput_images_per_s").labels
    assert rows[fast["backbone"], fast["engine"]]["throughput_images_per_s"] >= 100
    with pytest.raises(UserError, match="lower is better"):
        found.pick(min={"latency_p50_ms": 5})
    with pytest.raises(UserError, match="COLUMN=NUMBER"):
        found.pick(max={"latency_p50_ms": float("nan")})


def test_it_shows_the_table_and_the_pick_as_text_and_as_html(folder: Path) -> None:
    found = Evaluation.open(folder)
    assert repr(found) == str(found)
    said = suggestion(found.ranking)
    assert str(found).endswith(said)
    assert " ".join(str(found.pick()).split()).startswith(" ".join(said.split()))
    html = found._repr_html_()
    for text in (str(found), html):
        assert "made_up_base" in text
        assert "latency" in text
    assert html.startswith("<table>")
    assert html.count("<tr>") > 2
    assert len(re.findall("<td", html)) % len(re.findall("<th ", html)) == 0


def test_an_earlier_sweep_is_opened_and_narrowed(folder: Path, tmp_path: Path) -> None:
    found = Evaluation.open(folder)
    assert len(found.records) == len(list((folder / "records").iterdir()))
    assert all(isinstance(record, Record) for record in found.records)
    with pytest.raises(UserError, match="Unknown data set 'birds'"):
        Evaluation.open(folder, data="birds")
    with pytest.raises(UserError, match="no results folder"):
        Evaluation.open(tmp_path / "gone")


def test_the_page_lies_where_it_is_asked_for(tmp_path: Path) -> None:
    found = Evaluation.open(Lab().write(tmp_path))
    assert found.report() == tmp_path / "report.html"
    assert found.report(str(tmp_path / "page.html")).read_text().startswith("<!")


def test_a_mistake_is_raised_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Unknown field 'model'") as error:
        evaluate(model="a", out=tmp_path / "out")
    assert "models" in error.value.why
    assert error.value.remedy == "correct the call of evaluate"
    with pytest.raises(UserError, match="Unknown engine 'otr'"):
        evaluate(models=TINY, engines="otr", data=tmp_path / "photos", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_package_gives_only_its_two_names() -> None:
    assert sorted(bench.__all__) == ["Evaluation", "evaluate"]
    with pytest.raises(AttributeError, match="evaluat"):
        bench.evaluat  # noqa: B018


def test_the_document_s_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a small network in place of those that would be downloaded, and photographs that are drawn."""
    import torch
    from nets import tiny

    torch.manual_seed(3)
    torch.save(tiny().state_dict(), tmp_path / "tiny.pth")
    for label in range(3):
        (tmp_path / "photos" / f"class{label}").mkdir(parents=True)
        for i in range(12):
            (tmp_path / "photos" / f"class{label}" / f"{i}.jpg").write_bytes(photograph(100 * label + i))
    drawn = [photograph(seed, 180, 200) for seed in range(8)]
    monkeypatch.setattr("export.convert.verify.photographs", lambda store, images=None: drawn)
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("somebody asks the network"))
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'tests'}")  # of the timings' processes
    monkeypatch.chdir(tmp_path)

    def short(**fields: Any) -> Evaluation:
        small: dict[str, Any] = {"weights": {TINY: tmp_path / "tiny.pth"}, "tasks": "knn", "scenarios": "single_stream"}
        small |= {"seconds": 0.02, "repeats": 1, "threads": 1, "store": tmp_path / "store"}
        return evaluate(**{**fields, **small, "models": TINY})

    monkeypatch.setattr(bench.evaluation, "evaluate", short)
    [example, again] = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    scope: dict[str, Any] = {}
    exec(example.replace('"latency_p50_ms": 20', '"latency_p50_ms": 60_000'), scope)  # a busy machine may be slow
    assert scope["pick"].labels["engine"] == "ort:cpu"
    mine = f"{TINY}@{tmp_path.name}/tiny"
    assert list(scope["table"]["backbone"]) == [mine, mine]
    assert (tmp_path / "report.html").exists()
    assert {record.status for record in scope["results"].records} == {"ok", "skipped"}
    exec(again, scope)
    assert scope["results"].rows()[0]["backbone"] == mine
