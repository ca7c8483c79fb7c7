"""Bound sessions: the code that a GPU runs, here on the processor, and on the GPU where there is one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest

from engines.base import Pixels, Plan, Profile, Session
from engines.catalog import engine
from engines.ort import session as ort_session
from engines.ort.providers import PROVIDERS, Provider, assignment, misplaced, require_placed, why_not
from engines.ort.session import BoundSession, inference_session, out_of_memory, running
from export.artifact import ONNX, Artifact
from export.errors import CellError
from export.store import Store

CPU = "CPUExecutionProvider"


@pytest.fixture
def bound(artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """A plan of the GPU's kind that ONNX Runtime's own provider for the processor runs."""
    monkeypatch.setitem(PROVIDERS, "cuda", Provider(CPU, device="cpu"))
    return engine("ort:cuda").plan(artifact, Profile((1, 4)), Store(tmp_path / "store"))


def opened(plan: Plan) -> Session:
    return engine(plan.engine).load(plan)


def test_same_features_as_the_plain_session(bound: Plan, planned: Callable[..., Plan], pixels: Pixels) -> None:
    with opened(planned("ort")) as session:
        wanted = session.run(pixels)["features"]
    with opened(bound) as session:
        assert isinstance(session, BoundSession)
        for _ in range(3):  # batch sizes in turn: each keeps buffers of its own
            np.testing.assert_allclose(session.run(pixels)["features"], wanted, rtol=1e-4, atol=1e-5)
            for i in range(4):
                one = session.run(pixels[i : i + 1])["features"]
                np.testing.assert_allclose(one, wanted[i : i + 1], rtol=1e-4, atol=1e-5)


def test_the_file_takes_pixels_and_knows_its_free_axis(bound: Plan) -> None:
    model = onnx.load(str(bound.path / ONNX))
    (given,) = model.graph.input
    assert given.name == "pixels"
    assert given.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [d.dim_param or d.dim_value for d in given.type.tensor_type.shape.dim] == ["n", 32, 32, 3]


def test_buffers_are_bound_once_and_outputs_are_the_callers(bound: Plan, pixels: Pixels) -> None:
    with opened(bound) as session:
        assert isinstance(session, BoundSession)
        first = session.run(pixels)["features"]
        kept = first.copy()
        held = session._bound[4]
        where = [held._pixels.data_ptr(), *(v.data_ptr() for v in held._outputs.values())]
        session.run(255 - pixels)
        np.testing.assert_array_equal(first, kept)
        assert session._bound[4] is held
        assert [held._pixels.data_ptr(), *(v.data_ptr() for v in held._outputs.values())] == where
        first[:] = 0  # writable
        np.testing.assert_array_equal(session.run(pixels)["features"], kept)


def test_several_threads_get_what_one_gets(bound: Plan, pixels: Pixels) -> None:
    with opened(bound) as session, ThreadPoolExecutor(4) as pool:
        alone = [session.run(pixels[i : i + 1])["features"] for i in range(4)]
        together = list(pool.map(lambda i: session.run(pixels[i % 4 : i % 4 + 1])["features"], range(40)))
    for i, found in enumerate(together):
        np.testing.assert_array_equal(found, alone[i % 4])


def test_one_query_at_a_time(bound: Plan) -> None:
    assert bound.engine.streams == 1


def test_a_fixed_batch_leaves_nothing_that_computes_shapes(bound: Plan) -> None:
    free = inference_session(bound.path / ONNX, bound.engine)
    fixed = inference_session(bound.path / ONNX, bound.engine, 4)
    kinds = [{operator for _, operator, _ in assignment(s) or ()} for s in (free, fixed)]
    if not kinds[0]:
        pytest.skip(ort_session.UNREPORTED)
    assert "Shape" in kinds[0]
    assert "Shape" not in kinds[1]


def test_placement_counts_every_node(bound: Plan, pixels: Pixels) -> None:
    with opened(bound) as session:
        session.run(pixels)
        placed = session.placement()
    assert set(placed.nodes) <= {CPU}
    assert sum(placed.nodes.values()) > 10 or placed.note == ort_session.UNREPORTED


def test_a_node_elsewhere_is_an_error() -> None:
    there = ("CUDAExecutionProvider", "Conv", "stem")
    require_placed([there], "CUDAExecutionProvider")
    astray = [(CPU, "Shape", ""), (CPU, "Gather", "g"), (CPU, "Concat", "c"), (CPU, "Resize", "r")]
    assert len(misplaced([there, *astray], "CUDAExecutionProvider")) == 4
    with pytest.raises(CellError, match="did not place 4 nodes on CUDAExecutionProvider") as caught:
        require_placed([there, *astray], "CUDAExecutionProvider")
    assert "Shape (unnamed) on CPUExecutionProvider" in caught.value.why
    assert caught.value.why.endswith("and 1 more.")


def test_a_session_whose_nodes_are_elsewhere_is_refused(bound: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort_session, "assignment", lambda session: [("OtherExecutionProvider", "Conv", "stem")])
    with pytest.raises(CellError, match="did not place 1 nodes"):
        opened(bound)


def test_a_provider_that_compiles_anew_is_refused_and_the_plan_rebuilt(
    artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """ONNX Runtime's TensorRT writes into its cache whenever it finds nothing there that fits."""
    monkeypatch.setitem(PROVIDERS, "cuda", Provider(CPU, device="cpu", cache="no_such_option"))
    monkeypatch.setattr(Provider, "settings", lambda self, folder: {})
    real, runs = ort_session.inference_session, [0]

    def compiling(file: Path, spec: object, batch: int) -> object:
        runs[0] += 1
        (file.parent / f"batch_{batch}" / "engine").write_bytes(b"%d" % runs[0])
        return real(file, spec, batch)  # type: ignore[arg-type]

    monkeypatch.setattr("engines.ort.engine.inference_session", compiling)
    store = Store(tmp_path / "store")
    plan = engine("ort:cuda").plan(artifact, Profile((1,)), store)
    assert (plan.path / "batch_1" / "engine").read_bytes() == b"1"
    opened(plan).close()
    monkeypatch.setattr(ort_session, "inference_session", compiling)
    with pytest.raises(CellError, match="compiled this plan again"):
        opened(plan)
    engine("ort:cuda").plan(artifact, Profile((1,)), store)
    assert "damaged store entry" in capsys.readouterr().err


def test_what_is_in_force_is_told_by_the_manifest_and_the_key(bound: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bound.fields["provider"] == CPU
    assert bound.fields["provider_options"] == {}
    assert set(bound.fields["arithmetic"]) == {"fp32"}
    monkeypatch.undo()
    keys = {engine(f"ort:{name}").plan_key("onnx", Profile((1,))) for name in PROVIDERS}
    assert len(keys) == len(PROVIDERS)
    before = engine("ort:cuda").plan_key("onnx", Profile((1,)))
    monkeypatch.setitem(PROVIDERS["cuda"].options, "use_tf32", "1")
    assert engine("ort:cuda").plan_key("onnx", Profile((1,))) != before


def test_fp32_means_fp32_and_precision_is_the_files() -> None:
    for name, provider in PROVIDERS.items():
        if name.startswith("cuda"):
            assert provider.options["use_tf32"] == "0"
        if name.startswith("tensorrt"):
            assert provider.options["trt_fp16_enable"] == provider.options["trt_int8_enable"] == "0"
            assert provider.environment == {"NVIDIA_TF32_OVERRIDE": "0"}
            assert provider.settings(Path("there"))["trt_engine_cache_path"] == "there"


@pytest.mark.parametrize(
    "said",
    [
        "[ONNXRuntimeError] : 1 : FAIL : Failed to allocate memory for requested buffer of size 98765",
        "CUDA failure 2: out of memory ; GPU=0",
        "std::bad_alloc",
    ],
)
def test_memory_that_ran_out_is_a_sentence(said: str) -> None:
    assert out_of_memory(said)
    with pytest.raises(CellError, match=r"^The device's memory is full\.\n") as caught, running():
        raise RuntimeError(said)
    assert "smaller batch" in caught.value.remedy


def test_another_failure_keeps_its_own_line() -> None:
    assert not out_of_memory("no kernel image")
    with pytest.raises(CellError, match=r"failed while running\.\nno kernel image"), running():
        raise RuntimeError("no kernel image")


def test_a_provider_that_starts_has_no_reason_not_to() -> None:
    assert why_not(CPU, "") == ("", "")


def test_a_provider_that_does_not_start_says_so() -> None:
    import onnxruntime

    reason, remedy = why_not("TensorrtExecutionProvider", "tensorrt")
    if "TensorrtExecutionProvider" not in onnxruntime.get_available_providers():
        assert reason.startswith("TensorrtExecutionProvider does not start here")
    elif reason:  # a package for GPUs, without what it needs: the first missing library is named
        assert ".so" in reason
        assert remedy.startswith("pip install")


@pytest.mark.parametrize(
    ("library", "remedy"),
    [
        ("libnvinfer.so.10", "pip install 'tensorrt-cu13<11'"),
        ("libcublasLt.so.13", "pip install 'onnxruntime-gpu[cuda,cudnn]'"),
        ("libcuda.so.1", "install NVIDIA's driver"),
    ],
)
def test_what_brings_a_missing_library(library: str, remedy: str) -> None:
    from engines.ort.providers import _remedy

    assert _remedy(library, "13.0") == remedy


@pytest.mark.gpu
@pytest.mark.parametrize("provider", [name for name, p in PROVIDERS.items() if p.gpu])
def test_the_gpu_gives_the_processors_features(
    provider: str, artifact: Artifact, planned: Callable[..., Plan], pixels: Pixels, tmp_path: Path
) -> None:
    asked = engine(f"ort:{provider}")
    here = asked.available()
    if not here.ok:
        pytest.skip(here.reason)
    with opened(planned("ort")) as session:
        wanted = session.run(pixels)["features"]
    plan = asked.plan(artifact, Profile((1, 4)), Store(tmp_path / "store"))
    with opened(plan) as session:
        for _ in range(3):  # the second run captures a CUDA graph, the third replays it
            np.testing.assert_allclose(session.run(pixels)["features"], wanted, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(session.run(pixels[:1])["features"], wanted[:1], rtol=1e-3, atol=1e-4)
        assert set(session.placement().nodes) <= {PROVIDERS[provider].name}


def test_the_key_holds_the_gpu_and_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    from engines.cuda.device import Device
    from engines.ort import engine as ort

    keys = set()
    for gpu in (None, Device("A", "8.6", "580.1", 1), Device("A", "8.6", "580.2", 1), Device("B", "8.6", "580.1", 1)):
        monkeypatch.setattr(ort, "device", lambda gpu=gpu: gpu)
        keys.add(engine("ort:cuda").plan_key("onnx", Profile((1,))))
    assert len(keys) == 4


def test_a_package_for_gpus_without_a_gpu_is_not_available(
    monkeypatch: pytest.MonkeyPatch, only_installed: Callable[..., None]
) -> None:
    """It lists its providers on every machine."""
    import onnxruntime

    from engines.ort import engine as ort

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", CPU])
    only_installed("onnxruntime-gpu")
    monkeypatch.setattr(ort, "device", lambda: None)
    monkeypatch.setattr(ort, "why_no_device", lambda: "an NVIDIA GPU")
    found = engine("ort:cuda").available()
    assert not found.ok
    assert found.reason == "Missing: an NVIDIA GPU."
