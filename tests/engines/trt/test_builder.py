"""Real TensorRT-RTX builds, on any machine: no GPU and no driver is needed where targets are named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engines.base import EngineSpec, Plan, Profile
from engines.catalog import engine
from engines.cuda.device import device
from engines.trt.builder import LOG, PLAN, SUMMARY
from engines.trt.flavour import RTX, Flavour
from engines.trt.inspector import placement
from export.artifact import Artifact
from export.errors import Unavailable, UserError
from export.store import Store

pytest.importorskip("tensorrt_rtx_bindings", reason="TensorRT-RTX is not installed")


@pytest.fixture(scope="module")
def built(artifact: Artifact, room: Store) -> Plan:
    return engine(EngineSpec("trt-rtx", targets=("8.6", "8.9"))).plan(artifact, Profile((1, 4)), room)


def test_a_plan_is_built_without_a_gpu(built: Plan) -> None:
    assert {file.name for file in built.path.iterdir()} == {PLAN, LOG, SUMMARY, "manifest.json"}
    assert built.plan_bytes == (built.path / PLAN).stat().st_size > 10_000
    fields = built.fields
    assert fields["profiles"] == [1, 4]
    assert fields["targets"] == ["8.6", "8.9"]
    assert fields["input"] == "pixels"
    assert fields["version"] == RTX.installed()
    assert not fields["compatible"]
    assert not fields["dynamic"]
    assert fields["layers"] > 10
    assert fields["build_seconds"] > 0


def test_the_log_holds_everything_and_the_console_nothing(
    artifact: Artifact, store: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    plan = engine(EngineSpec("trt-rtx", targets=("8.6",))).plan(artifact, Profile(), store)
    assert capfd.readouterr() == ("", "")
    log = (plan.path / LOG).read_text()
    assert "VERBOSE Parsing node: pixels_cast [Cast]" in log
    assert "INFO Engine generation completed" in log


def test_the_builder_tells_layers_precisions_and_kernels(built: Plan) -> None:
    placed = placement(json.loads((built.path / SUMMARY).read_text())["inspection"], "gpu")
    assert placed.nodes == {"gpu": built.fields["layers"]}
    assert placed.precisions["fp32"] > 5
    assert len(placed.layers) == built.fields["layers"]
    assert all(layer.name and layer.kind for layer in placed.layers)
    assert any(layer.tactic for layer in placed.layers)


def test_compatible_and_dynamic_are_plans_of_their_own(artifact: Artifact, room: Store, built: Plan) -> None:
    compatible = engine("trt-rtx:compatible").plan(artifact, Profile((1, 4)), room)
    assert compatible.fields["compatible"]
    assert {"8.0", "8.6", "8.9", "12.0"} <= set(compatible.fields["targets"])
    dynamic = engine(EngineSpec("trt-rtx", "dynamic", targets=("8.6",))).plan(artifact, Profile((1, 4)), room)
    assert dynamic.fields["dynamic"]
    log = (dynamic.path / LOG).read_text()
    assert "MinShape: [1,32,32,3], OptShape: [4,32,32,3], MaxShape: [4,32,32,3]" in log
    assert "MinShape: [4,32,32,3], OptShape: [4,32,32,3]" in (built.path / LOG).read_text()


def test_a_second_time_the_store_has_it(artifact: Artifact, room: Store, built: Plan) -> None:
    before = (built.path / PLAN).stat().st_mtime_ns
    again = engine(EngineSpec("trt-rtx", targets=("8.9", "8.6"))).plan(artifact, Profile((1, 4)), room)
    assert again.key == built.key
    assert (again.path / PLAN).stat().st_mtime_ns == before


def test_where_nothing_can_be_built_the_store_has_it(
    artifact: Artifact, room: Store, built: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(self: Flavour) -> Any:
        raise Unavailable("TensorRT-RTX does not import.", "", "install it")

    monkeypatch.setattr(Flavour, "load", missing)
    assert engine(built.engine).plan(artifact, Profile((1, 4)), room) == built
    with pytest.raises(Unavailable, match="cannot build on this machine"):
        engine(built.engine).plan(artifact, Profile((1, 2)), room)


@pytest.mark.skipif(device() is not None, reason="there is a GPU here")
def test_without_a_driver_a_plan_does_not_open(built: Plan) -> None:
    with pytest.raises(Unavailable, match=r"cannot run on this machine\.\nMissing: .*NVIDIA"):
        engine(built.engine).load(built)


def test_a_target_that_the_library_does_not_know(artifact: Artifact, store: Store) -> None:
    with pytest.raises(UserError, match=r"does not build for compute capability '9\.9'\.\nIt builds for 7\.5, 8\.0"):
        engine(EngineSpec("trt-rtx", targets=("9.9",))).plan(artifact, Profile(), store)
    assert not list((store.root / "plan").glob("*/manifest.json"))
