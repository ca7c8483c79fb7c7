"""``python -m bench.gpu_check``: the whole command, on engines that run here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.gpu_check import SWEEP, main
from bench.sweep.spec import read
from engines.base import EngineSpec
from engines.catalog import engine
from export.errors import Unavailable

SMALL = """
models: [test_resnet.r160_in1k@random]
engines: [{engines}]
precisions: [fp32]
data: [toy]
tasks: []
scenarios: [single_stream, offline]
batches: [1, 4]
limit: 60
seconds: 0.05
repeats: 1
"""


def written(folder: Path, *engines: str) -> Path:
    file = folder / "sweep.yaml"
    file.write_text(SMALL.format(engines=", ".join(f'"{e}"' for e in engines)))
    return file


@pytest.mark.network
def test_measures_prints_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = written(tmp_path, "ort", "ort:tensorrt", "ort:cuda")
    page = tmp_path / "table.md"
    where = ["--config", str(config), "--store", str(tmp_path / "store"), "--out", str(tmp_path / "out")]
    if any(engine(f"ort:{p}").available().ok for p in ("cuda", "tensorrt")):
        pytest.skip("this machine has a GPU: the rows of engines that do not run are tested elsewhere")
    assert main([*where, "--markdown", str(page)]) == 0
    printed = capsys.readouterr().out
    assert page.read_text() == printed
    ran = next(line for line in printed.splitlines() if "`ort:cpu`" in line)
    assert "| `test_resnet.r160_in1k@random` | fp32 |" in ran
    assert "| 0.99999 |" in ran or "| 1.00000 |" in ran
    for absent in ("ort:cuda", "ort:tensorrt"):
        line = next(line for line in printed.splitlines() if f"`{absent}`" in line)
        assert "cannot run fp32 here" in line
    from bench.measure import rounds

    monkeypatch.setattr(rounds, "run", lambda job: pytest.fail("what is finished is measured again"))
    assert main([*where, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    by_engine = {row["engine"]: row for row in document["rows"]}
    assert by_engine["ort:cpu"]["p50 ms"] > 0
    assert by_engine["ort:cpu"]["images/s"] > 0
    assert by_engine["ort:cuda"]["p50 ms"] is None


def test_without_any_of_its_engines_it_says_so(tmp_path: Path) -> None:
    if engine("ort:cuda").available().ok:
        pytest.skip("this machine runs ort:cuda")
    config = written(tmp_path, "ort:cuda")
    for more in ([], ["--dry-run"], ["--json"]):
        with pytest.raises(Unavailable, match=r"'ort:cuda' cannot run on this machine\.\n") as failure:
            main(["--config", str(config), "--store", str(tmp_path), *more])
        assert failure.value.exit_code == 2


def test_a_dry_run_says_what_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = written(tmp_path, "ort", "ort:cuda")
    assert main(["--config", str(config), "--store", str(tmp_path), "--dry-run"]) == 0
    assert "ort:cpu: runs here" in capsys.readouterr().err


def test_its_own_sweep_names_engines_that_there_are() -> None:
    sweep = read(SWEEP)
    for name in sweep.engines:
        assert str(engine(EngineSpec.parse(name)).spec).startswith(name)
    assert sweep.repeats >= 3
