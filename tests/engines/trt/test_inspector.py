"""The builder's parts on the real library: progress and Ctrl-C, the timing cache; and the inspector's JSON."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from engines.base import Layer
from engines.trt import progress
from engines.trt.flavour import RTX
from engines.trt.inspector import placement
from engines.trt.log import BuildLog, tidy
from engines.trt.timing_cache import TimingCache
from export.artifact import Artifact
from export.store import Store


@pytest.fixture
def library() -> Any:
    pytest.importorskip("tensorrt_rtx_bindings", reason="TensorRT-RTX is not installed")
    return RTX.load()


@pytest.fixture
def parts(library: Any, artifact: Artifact) -> tuple[Any, Any, Any]:
    """A builder, a parsed network, and a configuration for one target."""
    builder = library.Builder(BuildLog(library).logger)
    network = builder.create_network(0)
    parser = library.OnnxParser(network, builder.logger)
    assert parser.parse(artifact.onnx.read_bytes())
    config = builder.create_builder_config()
    config.num_compute_capabilities = 1
    config.set_compute_capability(RTX.targets()["8.6"], 0)
    profile = builder.create_optimization_profile()
    given = network.get_input(0)
    profile.set_shape(given.name, *[(1, *tuple(given.shape)[1:])] * 3)
    config.add_optimization_profile(profile)
    return builder, network, config


def test_a_long_build_says_how_far_it_is(
    library: Any, parts: tuple[Any, Any, Any], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    builder, network, config = parts
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    with progress.building(library, config, "tiny"):
        assert builder.build_serialized_network(network, config) is not None
    said = capfd.readouterr().err
    assert "tiny: Optimizing graph, " in said
    assert all(line.startswith("tiny: ") for line in said.splitlines())


def test_ctrl_c_ends_a_build_at_its_next_step(library: Any, parts: tuple[Any, Any, Any]) -> None:
    builder, network, config = parts
    before = signal.getsignal(signal.SIGINT)
    plans: list[Any] = []

    def build_and_interrupt() -> None:
        with progress.building(library, config, "tiny"):
            signal.raise_signal(signal.SIGINT)
            plans.append(builder.build_serialized_network(network, config))

    with pytest.raises(KeyboardInterrupt):
        build_and_interrupt()
    assert plans == [None]
    assert signal.getsignal(signal.SIGINT) is before


# RTX measures no kernels and says so in a warning, but it has the calls; on a GPU, TensorRT fills the cache.
@pytest.mark.filterwarnings("ignore:.*Timing cache operations are no-ops:DeprecationWarning")
def test_the_timing_cache_is_kept_and_a_damaged_one_is_begun_anew(parts: tuple[Any, Any, Any], store: Store) -> None:
    _, _, config = parts
    cache = TimingCache.of(store.root, version="1", device={"name": "a"})
    assert cache.path != TimingCache.of(store.root, version="2", device={"name": "a"}).path
    cache.attach(config)
    cache.keep(config)
    first = cache.path.read_bytes()
    assert first
    cache.attach(config)
    cache.keep(config)
    assert cache.path.read_bytes() == first
    cache.path.write_bytes(b"not a cache")
    cache.attach(config)
    cache.keep(config)
    assert cache.path.read_bytes() == first
    assert {p.suffix for p in cache.path.parent.iterdir()} == {".bin", ".lock"}


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            "IBuilder::buildSerializedNetwork: Error Code 1: Myelin ([pass.cpp:337: check] Cannot compile operation "
            "'/qkv' for Turing (SM75): not supported.; [driver.cpp:1: run] In pass. In compile at /_src/a.cpp:2012)",
            "Cannot compile operation '/qkv' for Turing (SM75): not supported.",
        ),
        ("a: Error Code 4: API Usage Error (conv: kernel has 3. In validate at /_src/b.cpp:1)", "conv: kernel has 3"),
        ("Assertion failed: isZero(z): Non-zero zero point.", "Non-zero zero point."),
        ("Out of memory", "Out of memory"),
    ],
)
def test_an_error_is_told_without_places_in_its_sources(error: str, sentence: str) -> None:
    assert tidy(error) == sentence


def tensor(datatype: str) -> dict[str, str]:
    return {"Name": "t", "Datatype": datatype, "Format": "Row major linear format"}


def test_placement_counts_layers_precisions_and_kernels() -> None:
    half, eighth, single = tensor("Half"), tensor("Int8"), tensor("Float")
    layers = [
        {"Name": "a", "LayerType": "gemm", "Inputs": [half], "Outputs": [half], "TacticName": "sm80_xmma"},
        {"Name": "b", "LayerType": "CaskConvolution", "Inputs": [eighth], "Outputs": [half], "TacticValue": "0x7"},
        {"Name": "c", "LayerType": "kgen", "Inputs": [half], "Constants": [tensor("FP8")], "Outputs": [half]},
        {"Name": "d", "LayerType": "kgen", "Inputs": [tensor("UInt8")], "Outputs": [single], "TacticName": ""},
        {"Name": "e", "LayerType": "DLA", "Inputs": [tensor("BFloat16")], "Outputs": [tensor("BFloat16")]},
        {"Name": "f", "LayerType": "NoOp", "Inputs": [tensor("Int64")], "Outputs": [tensor("Int64")]},
    ]
    placed = placement({"Layers": layers, "Bindings": ["pixels", "features"]}, "gpu")
    assert placed.provider == "gpu"
    assert placed.nodes == {"gpu": 5, "dla": 1}
    assert placed.precisions == {"fp16": 1, "int8": 1, "fp8": 1, "fp32": 1, "bf16": 1, "other": 1}
    assert placed.layers[:2] == (Layer("a", "gemm", "fp16", "sm80_xmma"), Layer("b", "CaskConvolution", "int8", "0x7"))


def test_placement_of_the_older_form() -> None:
    given = {"Name": "a", "LayerType": "Reformat", "Inputs": [{"Format/Datatype": "Row major linear FP16 format"}]}
    assert placement({"Layers": [given]}, "gpu").precisions == {"fp16": 1}


def test_placement_of_a_spelling_of_tensorrt_11() -> None:
    given = {
        "Name": "a",
        "LayerType": "conv",
        "Inputs": [{"Name": "x", "DataType": "Int8", "Format": "Row major linear"}],
    }
    assert placement({"Layers": [given], "I/O Tensors": [{"Name": "x"}]}, "gpu").precisions == {"int8": 1}


def test_placement_that_cannot_be_told_says_so() -> None:
    assert placement({"Layers": ["conv1", "conv2"]}, "gpu").nodes == {"gpu": 2}
    assert "detailed profiling" in placement({"Layers": ["conv1"]}, "gpu").note
    assert placement({}, "gpu").note


def test_a_log_of_a_build_that_said_nothing(library: Any, tmp_path: Path) -> None:
    log = BuildLog(library)
    assert log.reason() == ""
    assert log.inspection() == {}
    log.write(tmp_path / "build.log")
    assert (tmp_path / "build.log").exists()
