from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.figures import bootstrap_speed
from bench.figures.__main__ import FIGURES, main
from export.errors import UserError


def test_every_name_stands_for_a_figure() -> None:
    names = (
        "extraction corruption preprocessing probe neighbours scoring start child bootstrap top1 precision joint page"
    )
    assert list(FIGURES) == ["harness", "loadgen", "server", *names.split(), "cluster"]
    assert all(callable(FIGURES.get(name)) for name in FIGURES)


def test_a_name_that_is_none_is_refused_before_anything_is_measured() -> None:
    with pytest.raises(UserError, match="Did you mean harness"):
        main(["bootstrap", "harnes"])


def test_figures_that_need_files_are_left_out_without_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["top1", "probe", "neighbours", "--shared", str(tmp_path), "--store", str(tmp_path / "store"), "--json"]
    assert main(given) == 0
    out, errors = capsys.readouterr()
    assert json.loads(out) == []
    assert [line.split(":")[0] for line in errors.splitlines()] == ["top1", "probe", "neighbours"]


def test_results_are_on_stdout_and_as_json_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap_speed, "SAMPLES", 200)
    code = main(["bootstrap", "--store", str(tmp_path), "--json"])
    out, errors = capsys.readouterr()
    found = json.loads(out)
    assert [one["target"] for one in found] == ["< 10", "< 10"]
    assert code == (0 if all(one["reached"] for one in found) else 1)
    assert found[0]["name"] in errors
