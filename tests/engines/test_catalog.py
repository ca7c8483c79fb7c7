"""Traps that are known to spoil numbers, set on purpose: each must be refused with a sentence."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from engines import ov
from engines.base import EngineSpec, Plan
from engines.catalog import engine
from engines.ort.session import inference_session
from export.artifact import Artifact
from export.errors import CellError
from export.spec import Precision


def test_openvino_left_to_itself_would_take_bf16(
    artifact: Artifact, planned: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    openvino = pytest.importorskip("openvino")
    core = openvino.Core()
    if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor has no bf16 units: OpenVINO's default is fp32 here")
    plan = planned("openvino")
    real = openvino.Core.compile_model

    def forgetful(self: Any, model: Any, device: str, settings: dict[str, Any]) -> Any:
        return real(self, model, device, {k: v for k, v in settings.items() if k != "INFERENCE_PRECISION_HINT"})

    monkeypatch.setattr(openvino.Core, "compile_model", forgetful)
    with pytest.raises(CellError, match=r"would run an fp32 file in bf16\.\nAsked for f32"):
        engine(plan.engine).load(plan)


def test_openvino_that_narrows_some_products_unasked(
    planned: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen on Arm with asymmetric activations; the hint that it reports is the one that was asked for."""
    plan = planned("openvino")
    real = ov._products
    with engine(plan.engine).load(plan) as session:
        assert real(session._compiled[1]) == {"f32": 5}  # type: ignore[attr-defined]
    monkeypatch.setattr(ov, "_products", lambda compiled: real(compiled) + Counter({"f16": 18, "i8": 30}))
    with pytest.raises(CellError, match=r"would compute 18 of 53 products in f16\.\nAsked for f32"):
        engine(plan.engine).load(plan)


def test_openvino_on_another_device_than_asked(planned: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planned("openvino")
    openvino = pytest.importorskip("openvino")
    real = openvino.Core.compile_model

    def elsewhere(self: Any, model: Any, device: str, settings: dict[str, Any]) -> Any:
        assert device == "GPU"
        return real(self, model, "CPU", settings)

    monkeypatch.setattr(openvino.Core, "compile_model", elsewhere)
    monkeypatch.setitem(ov.DEVICES, "cpu", "GPU")
    with pytest.raises(CellError, match="would run on CPU instead of GPU"):
        ov.OpenVinoSession(plan)


def test_provider_that_falls_back_is_an_error(artifact: Artifact, planned: Callable[..., Plan]) -> None:
    if engine("ort:cuda").available().ok:
        pytest.skip("CUDA is here: nothing falls back")
    file = planned("ort").path / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ONNX Runtime warns, and goes on with what it has: this is the trap
        with pytest.raises(CellError, match=r"has been explicitly disabled|replaced CUDAExecutionProvider"):
            inference_session(file, EngineSpec("ort", "cuda", 1))


def test_missing_provider_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, only_installed: Callable[..., None]
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    only_installed("onnxruntime")
    found = engine("ort:cuda").available()
    assert not found.ok
    assert found.reason == "The installed onnxruntime has no CUDAExecutionProvider."
    assert found.remedy == "pip uninstall onnxruntime; pip install 'backbones-deployed[gpu]'"


@pytest.mark.parametrize(("provider", "extra"), [("cpu", "cpu"), ("cuda", "gpu")])
def test_two_packages_of_onnx_runtime_are_refused(
    provider: str, extra: str, only_installed: Callable[..., None]
) -> None:
    only_installed("onnxruntime", "onnxruntime-gpu")
    found = engine(f"ort:{provider}").available()
    assert not found.ok
    assert "both installed" in found.reason
    assert found.remedy.endswith(f"pip install 'backbones-deployed[{extra}]'")


@pytest.mark.parametrize(
    ("name", "extra"), [("ort", "[cpu]"), ("ort:cuda", "[gpu]"), ("openvino", "[openvino]"), ("torch", "")]
)
def test_library_that_is_not_installed(name: str, extra: str, only_installed: Callable[..., None]) -> None:
    only_installed()
    found = engine(name).available()
    assert not found.ok
    assert "not installed" in found.reason
    assert f"backbones-deployed{extra}" in found.remedy


def test_compiled_needs_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    found = engine("torch:compiled").available()
    assert not found.ok
    assert "C++ compiler (no-such-compiler)" in found.reason


def test_library_that_fails_while_running(planned: Callable[..., Plan], pixels: Any) -> None:
    pytest.importorskip("onnxruntime")
    with engine("ort").load(planned("ort")) as session:
        session._normalize = lambda p: p  # type: ignore[attr-defined]
        with pytest.raises(CellError, match=r"ONNX Runtime failed while running\.\n.*tensor\(uint8\)"):
            session.run(pixels)


def test_finished_file_has_no_eager_twin(artifact: Artifact, room: Any) -> None:
    from dataclasses import replace

    from engines.base import Profile

    finished = replace(artifact, key="finished", source={}, precision=Precision.FP32)
    with pytest.raises(CellError, match="finished ONNX file"):
        engine("torch").plan(finished, Profile(), room)


def test_openvino_calls_nobody() -> None:
    """Its telemetry is not imported, and others can: in a process of its own, that has not imported OpenVINO before."""
    code = (
        "import sys\n"
        "from engines.catalog import engine\n"
        "assert engine('openvino').available().ok\n"
        "assert 'openvino' in sys.modules\n"
        "assert not [m for m in sys.modules if m.startswith('openvino_telemetry')]\n"
        "import openvino_telemetry\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
