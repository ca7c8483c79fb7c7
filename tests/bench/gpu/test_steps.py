"""Which cells a step takes, which tests, and how their outcomes are counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.gpu.result import Notes, Result
from bench.gpu.steps import Counted, Job, gpu_tests, grouped, marked, taken
from bench.gpu_check import SWEEP
from bench.sweep.assembly import Assembly
from bench.sweep.expansion import expand
from bench.sweep.spec import read
from engines.catalog import engine
from engines.cuda import device
from export.child import ROOT
from export.errors import Unavailable
from export.store import Store


@pytest.fixture
def asked(store: Store) -> Assembly:
    """The whole sweep of the check, with an engine that runs here, for a sweep of none is refused."""
    sweep = read(SWEEP)
    return Assembly(tuple(expand(replace(sweep, engines=(*sweep.engines, "ort")), store)), ())


def test_the_first_two_backbones_and_precisions_come_before_the_table(asked: Assembly) -> None:
    few = list(grouped(asked, taken("ort-cuda").__contains__, 2))
    computing = [[cell for cell in group if cell.engine.computes] for group in few]
    assert [[cell.cell.backbone for cell in group] for group in computing] == [
        ["resnet50_augnet", "efficientnet_lite0"]
    ] * 2
    assert [group[0].precision for group in computing] == ["fp32", "fp16"]
    assert {str(cell.engine.spec) for group in computing for cell in group} == {"ort:cuda"}
    here = few[0][0].availability.ok
    assert all(group[-1].engine.computes is not here for group in few)


def test_the_engines_of_a_step_are_among_those_of_the_sweep() -> None:
    sweep = {str(engine(name).spec) for name in read(SWEEP).engines}
    assert taken("ort-cuda") == {"ort:cuda"}
    assert taken("tensorrt") == {"trt:gpu", "trt-rtx:gpu"}
    assert taken("ort-cuda") | taken("tensorrt") <= sweep


def test_the_whole_table_is_every_cell_once(asked: Assembly) -> None:
    groups = grouped(asked, lambda name: True)
    cells = [str(cell.cell) for group in groups for cell in group if cell.engine.computes]
    assert sorted(cells) == sorted(str(cell.cell) for cell in asked.cells if cell.engine.computes)


def test_every_file_with_a_gpu_test_is_found_nearest_to_the_device_first() -> None:
    found = list(marked(ROOT / "tests" / "engines"))
    assert {file.parent.name for file in found} >= {"cuda", "preprocess", "ort", "trt"}
    folders = list(dict.fromkeys(file.parent.name for file in found))
    assert set(folders[:2]) == {"cuda", "preprocess"}
    assert all("mark.gpu" in file.read_text() for file in found)


def report(name: str, outcome: str, when: str = "call", why: Any = None) -> SimpleNamespace:
    return SimpleNamespace(nodeid=name, outcome=outcome, when=when, longrepr=why)


def test_outcomes_are_noted_as_they_come(tmp_path: Path) -> None:
    notes = Notes(tmp_path, Result("tests", "cut"))
    counted = Counted(notes)
    crash = SimpleNamespace(reprcrash=SimpleNamespace(message="assert 1 == 2\nmore"))
    for one in (
        report("a", "passed", "setup"),
        report("a", "passed"),
        report("b", "failed", why=crash),
        report("c", "skipped", "setup", ("file", 1, "Skipped: pycuda is not installed")),
        report("d", "skipped", "setup", ("file", 1, "Skipped: pycuda is not installed")),
        report("e", "failed", "teardown", "left behind"),
    ):
        counted.pytest_runtest_logreport(one)
    assert notes.result.lines == {
        "b": "failed: assert 1 == 2",
        "e": "failed: left behind",
        "skipped": "2 because pycuda is not installed",
        "tests": "1 passed, 2 failed, 2 skipped",
    }


def test_without_a_gpu_there_is_nothing_to_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "why_no_device", lambda: "an NVIDIA GPU")
    with pytest.raises(Unavailable, match="an NVIDIA GPU is missing"):
        gpu_tests(Job("tests", "", str(tmp_path)), Notes(tmp_path, Result("tests", "cut")))
