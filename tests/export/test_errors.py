from __future__ import annotations

import errno
import pickle
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version

import pytest
from packaging.requirements import Requirement
from project import pyproject

from export.errors import (
    EXTRAS,
    CellError,
    OutOfSpace,
    Unavailable,
    UserError,
    disk_full,
    first_line,
    for_user,
    unknown,
)


def test_an_error_is_three_short_lines() -> None:
    assert str(UserError("It broke.", "Because.", "fix it")) == "It broke.\nBecause.\nTry: fix it"
    assert str(UserError("It broke.")) == "It broke."


def test_errors_cross_process_borders_whole() -> None:
    error = pickle.loads(pickle.dumps(CellError("a", "b", "c")))
    assert (type(error), error.what, error.why, error.remedy) == (CellError, "a", "b", "c")


def test_unknown_suggests_the_nearest() -> None:
    assert "vit_b" in unknown("backbone", "vit-b", ["vit_b", "resnet50"]).why
    assert "resnet50" in unknown("backbone", "zzz", ["vit_b", "resnet50"]).why


def raised(call: Callable[[str], object], name: str) -> BaseException:
    with pytest.raises(ModuleNotFoundError) as caught:
        call(name)
    return caught.value


def test_a_missing_library_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    said = for_user(raised(import_module, "torch"))
    assert type(said) is Unavailable
    assert said.what == "Exporting and scoring need torch, which is not installed."
    assert said.remedy == "pip install 'backbones-deployed[export]'"
    msgspec = for_user(ModuleNotFoundError("No module named 'msgspec'", name="msgspec"))
    assert msgspec is not None
    assert msgspec.remedy == "pip install backbones-deployed"


def test_so_does_a_distribution_whose_version_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.meta_path", [])
    said = for_user(raised(version, "huggingface-hub"))
    assert said is not None
    assert "huggingface_hub" in said.what


@pytest.mark.parametrize("name", ["bench.no_such_module", "sympy_of_nobody", "onnx.no_such_part"])
def test_another_missing_module_is_a_bug(name: str) -> None:
    assert for_user(raised(import_module, name)) is None
    assert for_user(ImportError("cannot import name 'x' from 'torch'", name="torch")) is None


def test_the_users_own_mistakes_stay_as_they_are() -> None:
    error = CellError("a", "b", "c")
    assert for_user(error) is error
    assert for_user(ZeroDivisionError()) is None


def test_extras_are_those_of_the_package() -> None:
    """Every package of the plain half and of ``export`` brings a module that is named with it."""
    project = pyproject()["project"]
    extras = {"": project["dependencies"], **project["optional-dependencies"]}
    assert set(EXTRAS) <= set(extras)
    modules = {"pillow": "PIL", "pyyaml": "yaml"}
    for extra in ("", "export"):
        names = [Requirement(text).name for text in extras[extra]]
        assert {modules.get(name, name.replace("-", "_")) for name in names} == set(EXTRAS[extra][1].split())


def test_only_a_full_disk_is_a_full_disk() -> None:
    assert isinstance(disk_full(OSError(errno.EDQUOT, "quota"), "writing"), OutOfSpace)
    with pytest.raises(OSError, match="broken"):
        disk_full(OSError(errno.EIO, "broken"), "writing")


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (
            "[ONNXRuntimeError] : 1 : FAIL : Load model from /tmp/a b/net.onnx failed:Node (n1) Op (Reshape) "
            "[ShapeInferenceError] Invalid dimension value: -5",
            "Reshape n1: Invalid dimension value: -5",
        ),
        (
            "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Expand node. Name:'' Status "
            "Message: /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:360 void* onnxruntime::BFCArena::"
            "AllocateRawInternal(size_t, bool, onnxruntime::Stream*) Failed to allocate memory",
            "Expand: Failed to allocate memory",
        ),
        (
            "Exception from src/inference/src/cpp/core.cpp:84:\nCheck 'false' failed at src/frontend.cpp:47:\n"
            "FrontEnd API failed with OpConversionFailure:\nModel wasn't fully converted.\nSummary:\n"
            "-- No conversion rule found for operations: my.Rec\n",
            "No conversion rule found for operations: my.Rec",
        ),
        ("", "RuntimeError"),
        ("it broke", "it broke"),
    ],
)
def test_the_first_line_is_the_one_that_says_something(said: str, line: str) -> None:
    assert first_line(RuntimeError(said)) == line
