"""``python -m engines.build``: plans by name, for this machine or for another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engines.base import Availability, Purpose
from engines.build import main
from engines.cuda.device import device
from engines.ort.engine import OrtEngine
from export.errors import UserError
from export.store import Store

TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store of this module's: the small network is exported once."""
    return Store(tmp_path_factory.mktemp("build"))


@pytest.fixture
def tiny(shelf: Store, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.syspath_prepend(str(TESTS))
    return ["nets:tiny", "--store", str(shelf.root)]


@pytest.mark.network  # the parity gate reads published photographs
def test_a_plan_for_another_gpu(tiny: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tensorrt_rtx_bindings", reason="TensorRT-RTX is not installed")
    asked = [*tiny, "--engine", "trt-rtx,trt-rtx:dynamic", "--target", "8.6,8.9", "--batches", "1,4"]
    assert main([*asked, "--json"]) == 0
    printed = capsys.readouterr()
    static, dynamic = json.loads(printed.out)
    assert (static["engine"], dynamic["engine"]) == ("trt-rtx:gpu", "trt-rtx:dynamic")
    for row in (static, dynamic):
        assert row["targets"] == ["8.6", "8.9"]
        assert row["batches"] == [1, 4]
        assert Path(row["path"], "engine.plan").stat().st_size == pytest.approx(row["plan_mib"] * 2**20, rel=0.1)
        assert Path(row["log"]).read_text().count("VERBOSE") > 100
    assert static["layers"] > dynamic["layers"] > 0
    assert "nets:tiny · trt-rtx:dynamic · fp32" in printed.err
    assert main(asked) == 0
    shown = capsys.readouterr().out
    assert "plan MiB" in shown
    assert static["path"] in shown


@pytest.mark.network
@pytest.mark.skipif(device() is not None, reason="there is a GPU here: its engine builds")
def test_one_that_cannot_be_built_does_not_end_the_others(tiny: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*tiny, "--engine", "ort,trt:gpu", "--json"]) == 1
    printed = capsys.readouterr()
    assert [row["engine"] for row in json.loads(printed.out)] == ["ort:cpu"]
    assert "error: Engine 'trt:gpu' cannot build on this machine.\nMissing: " in printed.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--engine", "ort", "--target", "8.6"], "'ort' builds only for this machine's device"),
        (["--engine", "nothing"], "Unknown engine 'nothing'"),
        (["--engine", "ort", "--batches", "one"], "whole numbers"),
        (["--engine", "ort", "--batches", "0"], "batch sizes of at least 1"),
        (["--engine", "ort", "--precision", "fp33"], "Unknown precision 'fp33'"),
    ],
)
def test_bad_input_is_a_sentence(arguments: list[str], sentence: str, tiny: list[str]) -> None:
    with pytest.raises(UserError, match=sentence):
        main([*tiny, *arguments])


@pytest.mark.network  # the parity gate reads published photographs
def test_a_plan_that_the_store_has_is_told_where_none_can_be_built(
    tiny: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main([*tiny, "--engine", "ort", "--json"]) == 0
    built = json.loads(capsys.readouterr().out)
    probe = OrtEngine._probe

    def only_the_runtime(self: OrtEngine, purpose: Purpose) -> Availability:
        return Availability(False, "The builder is missing.") if purpose == "build" else probe(self, purpose)

    monkeypatch.setattr(OrtEngine, "_probe", only_the_runtime)
    assert main([*tiny, "--engine", "ort", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["path"] == built[0]["path"]
    monkeypatch.setattr("export.lower.precision.artifact", lambda *_, **__: pytest.fail("refused too late"))
    assert main([*tiny, "--engine", "ort", "--batches", "2"]) == 2
    assert "The builder is missing." in capsys.readouterr().err
