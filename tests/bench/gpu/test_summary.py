"""The document, from made-up steps and records."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from fake_records import Lab

from bench.figures.figure import Figure
from bench.gpu.result import Result
from bench.gpu.summary import Summary

LAB = Lab()
ENVIRONMENT = replace(
    LAB.timing("made_up_base", "ort:cpu", "offline").environment,
    gpu={"name": "Imaginary GPU", "capability": "8.6", "driver": "999.1"},
)
FIGURE = Figure("kernel / copy", 0.8, (0.7, 0.9), "≥ 0.70", True, "7 repeats")
RESULTS = (
    Result("tests", "done", lines={"tests": "40 passed"}, seconds=61.4, environment=ENVIRONMENT),
    Result("ort-cuda", "cut", "its time was over (120 s)"),
    Result("preprocessing", "done", figures=(FIGURE,)),
)


def test_device_steps_figures_and_table(tmp_path: Path) -> None:
    for backbone in ("made_up_base", "made_up_tiny"):
        LAB.timing(backbone, "ort:cpu", "single_stream").write(tmp_path / "records")
    found = Summary.of(tmp_path, RESULTS)
    text = found.markdown()
    assert text.startswith("# A GPU, checked\n\nImaginary GPU, compute capability 8.6, driver 999.1\n")
    assert "onnxruntime 1.99" in text
    assert "| tests | done | 61 |" in text
    assert "| ort-cuda | cut: its time was over (120 s) |" in text
    assert "- kernel / copy: 0.800 (0.700 … 0.900), target ≥ 0.70: reached; 7 repeats" in text
    assert "- tests: 40 passed" in text
    assert "| `made_up_tiny` | fp32 | `ort:cpu` |" in text
    document = json.loads(json.dumps(found.document()))
    assert [step["state"] for step in document["steps"]] == ["done", "cut", "done"]
    assert {row["backbone"] for row in document["rows"]} == {"made_up_base", "made_up_tiny"}
    assert found.exit_code == 0


def test_without_records_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    assert "No table: " in Summary.of(tmp_path, RESULTS).markdown()


def test_exit_codes(tmp_path: Path) -> None:
    failed, skipped = Result("table", "failed", "2 results failed."), Result("tensorrt", "skipped", "no library")
    assert Summary.of(tmp_path, [*RESULTS, failed]).exit_code == 1
    assert Summary.of(tmp_path, [*RESULTS, skipped]).exit_code == 0
    assert Summary.of(tmp_path, [skipped]).exit_code == 2
