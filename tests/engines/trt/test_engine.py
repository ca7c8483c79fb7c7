"""TensorRT as an engine: what is missing is said, keys hold what a plan depends on, foreign plans are refused."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_trt import FakeBuilding

from engines.base import EngineSpec, Plan, Profile
from engines.catalog import engine
from engines.cuda.device import Device
from engines.trt import flavour
from engines.trt.builder import PLAN, Request, build
from engines.trt.engine import RtxEngine, TrtEngine, refuse_foreign
from engines.trt.flavour import RTX, TENSORRT
from export.artifact import Artifact
from export.errors import CellError, Unavailable, UserError
from export.store import Store

GPU = Device("NVIDIA A10", "8.6", "580.65.06", 24 << 30)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, only_installed: Callable[..., None]) -> Callable[..., None]:
    """``here(GPU, "tensorrt")``: a machine with that device, or without one for that reason, and these packages."""

    def set_machine(gpu: Device | str, *installed: str) -> None:
        found = gpu if isinstance(gpu, Device) else None
        monkeypatch.setattr("engines.trt.engine.device", lambda: found)
        monkeypatch.setattr("engines.trt.engine.why_no_device", lambda: gpu)
        only_installed(*installed)
        monkeypatch.setattr(flavour, "find_spec", lambda name: None)

    return set_machine


@pytest.mark.parametrize(
    ("gpu", "installed", "missing"),
    [
        ("the NVIDIA driver (libcuda)", (), "Missing: the NVIDIA driver (libcuda), the TensorRT library."),
        ("an NVIDIA GPU", ("tensorrt",), "Missing: an NVIDIA GPU."),
        (GPU, (), "Missing: the TensorRT library."),
    ],
)
def test_what_is_missing_is_said(
    gpu: Device | str, installed: tuple[str, ...], missing: str, here: Callable[..., None]
) -> None:
    here(gpu, *installed)
    found = TrtEngine(EngineSpec("trt")).available()
    assert not found.ok
    assert found.reason == missing
    assert found.remedy


def test_tensorrt_needs_its_gpu_to_build(here: Callable[..., None], artifact: Artifact, store: Store) -> None:
    here("the NVIDIA driver (libcuda)", "tensorrt")
    with pytest.raises(Unavailable, match=r"'trt:gpu' cannot build on this machine\.\nMissing: the NVIDIA driver"):
        engine("trt").plan(artifact, Profile(), store)
    with pytest.raises(UserError, match="builds only for this machine's device"):
        engine(EngineSpec("trt", targets=("8.6",)))


def test_rtx_without_gpu_builds_for_a_named_one_only(here: Callable[..., None]) -> None:
    here("the NVIDIA driver (libcuda)", "tensorrt-rtx-cu13-bindings")
    found = engine("trt-rtx").available("build")
    assert not found.ok
    assert "no other was named" in found.reason
    assert "--target" in found.remedy
    here("the NVIDIA driver (libcuda)")
    found = engine(EngineSpec("trt-rtx", targets=("8.6",))).available("build")
    assert found.reason == "Missing: the NVIDIA driver (libcuda), the TensorRT-RTX library."
    assert "backbones-deployed[rtx]" in found.remedy


def test_key_holds_device_driver_library_targets_and_provider(
    here: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    keys: list[str] = []

    def note(*specs: EngineSpec) -> None:
        keys.extend(engine(spec).plan_key("onnx", Profile((1, 8))) for spec in specs)

    here(GPU, "tensorrt", "tensorrt-rtx-cu13-bindings")
    note(*(EngineSpec(name, provider) for name in ("trt", "trt-rtx") for provider in TrtEngine.providers))
    note(*(EngineSpec("trt-rtx", "gpu", targets=targets) for targets in [("8.6",), ("8.9",), ("8.6", "8.9")]))
    here(replace(GPU, driver="580.65.07"), "tensorrt")
    note(EngineSpec("trt"))
    here(replace(GPU, capability="8.9"), "tensorrt")
    note(EngineSpec("trt"))
    here(replace(GPU, name="NVIDIA A40"), "tensorrt")
    note(EngineSpec("trt"))
    here(GPU)  # another version: none
    note(EngineSpec("trt"))
    assert len(set(keys)) == len(keys)


def test_key_of_named_targets_does_not_depend_on_this_machine(here: Callable[..., None]) -> None:
    for_named = EngineSpec("trt-rtx", targets=("8.9", "8.6"))
    here(GPU, "tensorrt-rtx-cu13-bindings")
    with_gpu = [engine(spec).plan_key("onnx", Profile()) for spec in (for_named, "trt-rtx:compatible")]
    here("an NVIDIA GPU", "tensorrt-rtx-cu13-bindings")
    turned = replace(for_named, targets=("8.6", "8.9"))
    assert [engine(spec).plan_key("onnx", Profile()) for spec in (turned, "trt-rtx:compatible")] == with_gpu


def plan_of(**fields: Any) -> Plan:
    from fakes import plan

    return replace(plan(), fields={"version": "1.0", "targets": ["8.6"], "compatible": False, **fields})


def test_plan_from_elsewhere_is_refused(here: Callable[..., None]) -> None:
    here(GPU, "tensorrt", "tensorrt-rtx-cu13-bindings")
    with pytest.raises(CellError, match=r"built by TensorRT 10\.9, and 1\.0 is installed"):
        refuse_foreign(plan_of(version="10.9"), TENSORRT, "8.6")
    with pytest.raises(CellError, match=r"for compute capability 8\.6; the GPU here has 8\.9.*\n.*--target 8\.9"):
        refuse_foreign(plan_of(), RTX, "8.9")
    with pytest.raises(CellError, match=r"capability 8\.0 and later; the GPU here has 7\.5"):
        refuse_foreign(plan_of(compatible=True), TENSORRT, "7.5")
    with pytest.raises(CellError, match=r"capability 8\.0, 8\.6; the GPU here has 9\.0"):
        refuse_foreign(plan_of(compatible=True, targets=["8.0", "8.6"]), RTX, "9.0")
    refuse_foreign(plan_of(), RTX, "8.6")
    refuse_foreign(plan_of(compatible=True), TENSORRT, "12.0")


def test_both_flavours_are_one_engine_twice() -> None:
    assert {RtxEngine.providers, TrtEngine.providers} == {("gpu", "nograph", "compatible", "dynamic")}


# -- JetPack's libraries ---------------------------------------------------------------------------------------------


def test_a_library_that_no_package_brought_tells_its_version_itself(
    only_installed: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    only_installed()
    assert TENSORRT.installed() == ""
    (tmp_path / "tensorrt.py").write_text('__version__ = "10.3.0"\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    assert TENSORRT.installed() == "10.3.0"
    monkeypatch.delitem(sys.modules, "tensorrt")
    (tmp_path / "tensorrt.py").write_text('raise ImportError("libnvinfer.so.10")\n')
    assert TENSORRT.installed() == ""


@pytest.mark.parametrize("release", ["10.3.0", "11.4.0.106"])
@pytest.mark.parametrize("compatible", [False, True])
def test_a_build_asks_of_jetpacks_tensorrt_only_what_it_has(
    release: str, compatible: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = FakeBuilding(release)
    monkeypatch.setitem(sys.modules, "tensorrt", library)
    fields = build(TENSORRT, tmp_path / "headed.onnx", Request((1, 8), compatible=compatible), tmp_path)
    built = library.built
    assert (tmp_path / PLAN).read_bytes() == b"a plan"
    assert built["file"] == str(tmp_path / "headed.onnx")
    assert built["strong"]  # else TensorRT 10 would choose precisions by itself
    assert built["cleared"] == ["tf32"]
    shapes = [profile.shapes["pixels"] for profile in built["profiles"]]
    assert shapes == [((1, 32, 32, 3),) * 3, ((8, 32, 32, 3),) * 3]
    assert built["profiling_verbosity"] == "detailed"
    assert built.get("hardware_compatibility_level") == ("ampere+" if compatible else None)
    assert fields["profiles"] == [1, 8]


CALLS = re.compile(
    r"\b(?:library|_library|builder|network|config|parser|_engine|engine|_runtime|context|inspector)"
    r"\.([A-Za-z_]\w*)(?:\.([A-Z]\w*))?"
)
OURS = {"plan", "provider", "streams"}
RTX_ALONE = {"ComputeCapability", "CURRENT", "num_compute_capabilities", "set_compute_capability"}


@pytest.mark.network
@pytest.mark.parametrize("release", ["tensorrt-cu12-bindings==10.3.0", "tensorrt-cu13-bindings==11.4.0.106"])
def test_all_that_is_called_is_there_in_jetpacks_tensorrt(release: str, tmp_path: Path) -> None:
    """JetPack 6 has 10.3, JetPack 7.2 takes 11.4. Every name of the interface stands in the bindings as a string."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", release]
    for platform in ("manylinux_2_17_x86_64", "manylinux_2_28_x86_64"):
        command += ["--platform", platform]
    done = subprocess.run(
        [*command, "--python-version", "3.11", "--dest", str(tmp_path)], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"no wheel to look into: {done.stderr.strip().splitlines()[-1]}")
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        [name] = [name for name in wheel.namelist() if name.endswith("/tensorrt.so")]
        bindings = wheel.read(name)
    folder = Path(flavour.__file__).parent
    sources = [
        (folder / f"{part}.py").read_text() for part in ("builder", "session", "timing_cache", "progress", "log")
    ]
    called = {name for found in CALLS.findall("".join(sources)) for name in found if name} - OURS - RTX_ALONE
    assert {"STRONGLY_TYPED", "execute_async_v3", "progress_monitor", "UINT8"} <= called
    assert [name for name in sorted(called) if name.encode() + b"\0" not in bindings] == []
