"""``python -m bench.gpu_check``: all five steps, on a driver that needs no GPU."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from bench.gpu import steps
from bench.gpu.check import RESERVE
from bench.gpu_check import NAME, SWEEP, main
from bench.sweep.spec import read
from engines.base import EngineSpec
from engines.catalog import engine
from engines.cuda.nvrtc import CUBIN, Program, program_key
from engines.preprocess import kernel
from export.errors import UserError
from export.store import Store

SMALL = """
models: [test_resnet.r160_in1k@random]
engines: ["ort:cuda", ort]
precisions: [fp32]
data: [toy]
tasks: []
scenarios: [single_stream, offline]
batches: [1, 4]
limit: 60
seconds: 0.05
repeats: 1
"""


@pytest.mark.slow
@pytest.mark.network
def test_a_dry_run_takes_the_path_of_a_gpu(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    built_libcuda: Path,
    host_code: Program,
) -> None:
    """The children load the library of the tests as libcuda; kernels run on the processor, engines that need the real
    one say so."""
    monkeypatch.setenv("LD_LIBRARY_PATH", str(built_libcuda.parent))
    # of the tests, those that need no compiler: NVRTC looks into libcuda itself
    monkeypatch.setattr(steps, "Job", partial(steps.Job, tests=("tests/engines/cuda/test_driver.py",)))
    store, config, out = Store(tmp_path / "store"), tmp_path / "sweep.yaml", tmp_path / "out"
    config.write_text(SMALL)

    def code(folder: Path) -> dict[str, object]:
        (folder / CUBIN).write_bytes(host_code.cubin)
        return {"capability": "8.7", "resources": {}}

    store.obtain("cubin", program_key(kernel.SOURCE.read_text("utf-8"), "8.7", 12), code)
    asked = ["--config", str(config), "--store", str(store.root), "--out", str(out), "--minutes", "10"]
    assert main([*asked, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert json.loads((out / f"{NAME}.json").read_text()) == document
    found = {step["step"]: step for step in document["steps"]}
    assert {name: step["state"] for name, step in found.items()} == {
        "tests": "done",
        "ort-cuda": "skipped",
        "tensorrt": "skipped",
        "preprocessing": "done",
        "table": "done",
    }
    assert "passed" in found["tests"]["lines"]["tests"]
    assert "CUDA" in found["ort-cuda"]["why"]
    assert "The sweep names no such engine." in found["tensorrt"]["why"]
    [kernels] = found["preprocessing"]["figures"]
    assert kernels["value"] > 0
    assert "torch finds no GPU" in found["preprocessing"]["lines"]["left out"]
    rows = {row["engine"]: row for row in document["rows"]}
    assert rows["ort:cpu"]["p50 ms"] > 0
    assert rows["ort:cuda"]["p50 ms"] is None
    page = (out / f"{NAME}.md").read_text()
    assert "Fake Orin, compute capability 8.7" in page
    assert "| `test_resnet.r160_in1k@random` | fp32 | `ort:cpu` |" in page


def test_bad_input_is_a_sentence(tmp_path: Path) -> None:
    for minutes in ("0", "-3", "nan", str(RESERVE / 60)):
        with pytest.raises(UserError, match="minutes are too few"):
            main(["--minutes", minutes, "--out", str(tmp_path)])
    with pytest.raises(UserError, match="nowhere"):
        main(["--config", str(tmp_path / "nowhere.yaml"), "--out", str(tmp_path)])


def test_its_own_sweep_names_engines_that_there_are() -> None:
    sweep = read(SWEEP)
    for name in sweep.engines:
        assert str(engine(EngineSpec.parse(name)).spec).startswith(name)
    assert sweep.repeats >= 3
