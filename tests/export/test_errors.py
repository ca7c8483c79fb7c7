from __future__ import annotations

import errno
import pickle

import pytest

from export.errors import CellError, OutOfSpace, UserError, disk_full, first_line, unknown


def test_an_error_is_three_short_lines() -> None:
    assert str(UserError("It broke.", "Because.", "fix it")) == "It broke.\nBecause.\nTry: fix it"
    assert str(UserError("It broke.")) == "It broke."


def test_errors_cross_process_borders_whole() -> None:
    error = pickle.loads(pickle.dumps(CellError("a", "b", "c")))
    assert (type(error), error.what, error.why, error.remedy) == (CellError, "a", "b", "c")


def test_unknown_suggests_the_nearest() -> None:
    assert "vit_b" in unknown("backbone", "vit-b", ["vit_b", "resnet50"]).why
    assert "resnet50" in unknown("backbone", "zzz", ["vit_b", "resnet50"]).why


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
