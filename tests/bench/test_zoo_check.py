"""The check of the zoo: what is kept, a network that crashes, one that is too large, and the page."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import photograph
from nets import tiny

from bench.zoo import check as checks
from bench.zoo import worker
from bench.zoo.check import Conditions, Row, need_gib, sample
from bench.zoo.page import markdown
from bench.zoo_check import main
from engines.architectures import Architecture, architectures
from engines.catalog import engine
from engines.checking import Job
from export.errors import UserError
from export.spec import Precision
from export.store import Store
from export.zoo.backbones import listing, resolve
from export.zoo.unloaded import parameters

TESTS = Path(__file__).resolve().parents[1]
GIB = 2**30


def row(name: str, precision: str = "fp32", **changes: Any) -> Row:
    found = {"cosine_min": 0.999999, "relative_error": 3.2e-7, "passed": True}
    parity = {"file": found, "ort:cpu": found}
    given = Row(name, "resnet", "32x32", (f"{name}_a", f"{name}_b"), precision, "passed", "", 21.5, 1.5, 9.7, 4.2, 1.25)
    return replace(given, **{"onnx_mib": 82.4, "parity": parity, **changes})


def test_the_page_leaves_nothing_out() -> None:
    wrong = {"file": row("x").parity["file"], "ort:cpu": {"cosine_min": 0.9, "relative_error": 0.5, "passed": False}}
    rows = [
        row("one"),
        row("two", parity=wrong, status="failed", why="ort:cpu: cosine 0.900000, relative error 5.0e-01"),
        row("three", parity={}, status="failed", why="file: The process died (SIGSEGV) while exporting."),
        row("four", parity={}, status="too large", why="needs about 40 GiB of memory"),
        row("five", parity={}, status="unavailable", why="foolbox could not be downloaded."),
        row("one", "int8"),
    ]
    page = markdown(rows, ["ort:cpu"], ["Made so."])
    assert "- fp32: of 5 networks 1 passed, 2 failed, 1 too large, 1 unavailable\n" in page
    assert "- int8: of 1 networks 1 passed\n" in page
    assert "| `one` | 32x32 | `one_a`, `one_b` | 21.5 | 82 | 4 | 10 | 1.2 | 3e-07 | 3e-07 |" in page
    assert "| 3e-07 | **5e-01**, cosine 0.9000 |" in page
    assert "- `three` 32x32 fp32 (`three_a`, `three_b`, 22 M weights): file: The process died (SIGSEGV)" in page
    assert "- `four` 32x32 fp32 (`four_a`, `four_b`, 22 M weights): needs about 40 GiB of memory" in page
    assert "- `five` 32x32 fp32 (`five_a`, `five_b`, 22 M weights): foolbox could not be downloaded." in page
    tables = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(tables) == 4, "what was not tried is listed, and has no cells"


def test_every_network_of_the_zoo_is_one_of_the_check() -> None:
    found = architectures("all")
    assert sorted(name for one in found for name in one.rows) == sorted(row.name for row in listing())
    assert len({(one.name, one.input, str(one.backbone.arguments)) for one in found}) == len(found)


def test_the_sample_holds_the_smallest_of_each_kind() -> None:
    asked = architectures("vit_s,vit_t,resnet50,resnet18")
    assert [one.name for one in sample(asked)] == ["vit_tiny_patch16_224", "resnet18"]


def test_weights_are_counted_without_being_made() -> None:
    assert parameters(resolve("resnet18@random")) == 11_176_512
    assert parameters(resolve("nets:tiny")) == sum(p.numel() for p in tiny().parameters())
    assert parameters(resolve("open_nsfw")) is None  # a finished file


def test_the_need_grows_with_the_weights() -> None:
    assert need_gib(0) == checks.FIXED_GIB
    assert need_gib(10**9) - need_gib(0) == pytest.approx(checks.COPIES * 4e9 / GIB)


def test_what_is_too_large_is_listed_and_not_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "checked", lambda *_: pytest.fail("it was tried"))
    asked = [(one, Precision.FP32) for one in architectures("vit_l")]
    shared = Conditions((engine("ort"),), Store(tmp_path), 60, 3 * GIB)
    ((found, known),) = checks.check(asked, shared)
    assert (found.status, known) == ("too large", False)
    assert found.parameters_m == 303.3
    assert found.need_gib is not None
    assert found.need_gib > 3
    assert f"needs about {found.need_gib:.0f} GiB" in found.why


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--models", "vit_sss"], "Unknown backbone 'vit_sss'"),
        (["--precisions", "fp33"], "Unknown precision 'fp33'"),
        (["--engines", "ortt"], "Unknown engine 'ortt'"),
    ],
)
def test_bad_input_is_a_sentence(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=sentence):
        main([*arguments, "--store", str(tmp_path)])


# -- with child processes ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store, drawn photographs, and small networks of our own that child processes find."""
    drawn = [photograph(seed, 60, 80) for seed in range(8)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(TESTS))
        patch.syspath_prepend(str(TESTS))
        patch.setattr(checks, "photographs", lambda store: drawn)
        yield Store(tmp_path_factory.mktemp("zoo"))


def run(store: Store, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict[str, Any]], str]:
    code = main(["--precisions", "fp32", "--json", "--store", str(store.root), *arguments])
    printed = capsys.readouterr()
    return code, json.loads(printed.out), printed.err


@pytest.mark.slow
def test_a_network_that_crashes_costs_itself_and_the_rest_is_kept(
    shelf: Store, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page = tmp_path / "zoo.md"
    code, rows, said = run(shelf, capsys, "--models", "nets:aborting,nets:small", "--markdown", str(page))
    assert code == 1
    crashed, small = rows
    assert crashed["status"] == "failed"
    assert crashed["why"] == "file: The process died (SIGABRT) while exporting."
    assert small["status"] == "passed"
    assert set(small["parity"]) == {"file", "ort:cpu", "openvino:cpu"}
    assert all(found["passed"] and found["relative_error"] < 1e-4 for found in small["parity"].values())
    assert small["peak_gib"] > 0
    assert small["seconds"] > small["export_seconds"] > 0
    assert "[1/2] nets:aborting fp32" in said
    assert "SIGABRT" in page.read_text()
    left = {path.name for path in shelf.root.iterdir()} - {"zoo-check", "zoo-check.lock", "hub", "members"}
    assert left <= {"packages", "photographs"}, "what was made for the check is thrown away"

    code, again, said = run(shelf, capsys, "--models", "nets:small,nets:aborting")
    assert sorted(again, key=str) == sorted(rows, key=str)
    assert "2 of 2 checks, 2 of them from earlier runs" in said


@pytest.mark.slow
def test_a_network_of_timm_in_two_precisions(shelf: Store, capsys: pytest.CaptureFixture[str]) -> None:
    code, rows, _ = run(
        shelf, capsys, "--models", "test_vit.r160_in1k", "--precisions", "fp32,fp16", "--engines", "ort"
    )
    assert [row["precision"] for row in rows] == ["fp32", "fp16"]
    assert code == 0, [row["why"] for row in rows]
    assert rows[0]["need_gib"] == rows[1]["need_gib"]


def job(one: Architecture) -> Job:
    return Job(one, Precision.FP32, "key")


def test_code_of_ones_own_that_is_too_large_is_not_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = {"backbone": resolve("nets:tiny").as_json(), "memory_bytes": 2**30, "engine": ""}
    monkeypatch.setattr(worker, "_export", lambda _: pytest.fail("it was tried"))
    worker.stage(job, tmp_path / "state.json")
    state = json.loads((tmp_path / "state.json").read_text())
    assert state["too large"]
    assert state["unavailable"] == "needs about 1 GiB of memory"


def test_too_little_memory_is_a_state(shelf: Store, tmp_path: Path) -> None:
    (one,) = architectures("nets:small")
    shared = Conditions((engine("ort"),), shelf, 120, 96 << 20)
    found = checks.checked(job(one), Store(tmp_path), shared)
    assert found["export"]["died"].startswith("The process ")
    assert found["engines"] == {}


def test_too_little_time_is_a_state(shelf: Store, tmp_path: Path) -> None:
    (one,) = architectures("nets:small")
    found = checks.checked(job(one), Store(tmp_path), Conditions((engine("ort"),), shelf, 0.2, 8 * GIB))
    assert found["export"]["died"].startswith("It took longer than 0 seconds while ")


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_done(
    shelf: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "store")
    tried = checks.checked

    def interrupted(asked: Job, passing: Store, shared: Conditions) -> Any:
        if asked.architecture.name == "nets:tiny":
            os.kill(os.getpid(), signal.SIGINT)
        return tried(asked, passing, shared)

    what = ["--models", "nets:small,nets:tiny", "--engines", "ort"]
    with monkeypatch.context() as patch:
        patch.setattr(checks, "checked", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(store, capsys, *what, "--markdown", str(tmp_path / "zoo.md"))
    assert "1 checks have not been run." in (tmp_path / "zoo.md").read_text()
    assert "1 of 2 checks, 0 of them from earlier runs" in capsys.readouterr().err
    assert not list(store.root.glob(".checking-*"))
    _, rows, said = run(store, capsys, *what)
    assert [row["status"] for row in rows] == ["passed", "passed"]
    assert "2 of 2 checks, 1 of them from earlier runs" in said
