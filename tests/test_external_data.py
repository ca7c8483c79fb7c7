"""A network whose weights lie beside its file, through all four rooms, because the limit is lowered."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from coloured import draw
from fakes import photograph
from nets import tiny

from bench import evaluate
from bench.records.results import Results
from bench.ship import main
from engines.base import EngineSpec, Profile
from engines.catalog import engine
from export import external
from export.artifact import Artifact, copy_files
from export.errors import CellError, UserError
from export.store import Store

TINY = "nets:tiny"
LIMITS = {"export.external.LARGEST": 10_000, "export.external.SMALL": 256}
"""Bytes: the network has 22,000 in fp32."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the results and the store of a sweep, made under the lowered limit, which stays."""
    folder = tmp_path_factory.mktemp("external")
    photos = draw(folder / "set", height=90, width=110, ending="png")
    drawn = [photograph(seed, 180, 200) for seed in range(8)]
    torch.manual_seed(3)
    torch.save(tiny().state_dict(), folder / "tiny.pth")
    with pytest.MonkeyPatch.context() as patch:
        for name, limit in LIMITS.items():
            patch.setattr(name, limit)
        patch.setattr("export.convert.verify.photographs", lambda store, images=None: drawn)
        evaluate(
            models=[TINY],
            weights={TINY: folder / "tiny.pth"},
            engines=["ort", "openvino"],
            precisions=["fp32", "fp16", "int8"],
            data=photos,
            tasks=["knn"],
            scenarios=["single_stream"],
            seconds=0.05,
            repeats=1,
            out=folder / "out",
            store=folder / "store",
        )
        yield folder


def artifacts(place: Path) -> dict[str, Artifact]:
    """The backbone's files in the store, by precision."""
    store = Store(place / "store", lambda line: None)
    entries = [store.try_load("onnx", path.name) for path in (place / "store" / "onnx").iterdir() if path.is_dir()]
    found = [Artifact.of(entry) for entry in entries if entry and "head" not in entry.fields]
    return {str(artifact.precision): artifact for artifact in found}


def test_every_cell_is_scored_and_timed(place: Path) -> None:
    records = Results.load(place / "out").records
    records = tuple(record for record in records if record.cell.engine != "null:cpu")
    assert {record.status for record in records} == {"ok"}
    cells = {(record.cell.engine, str(record.cell.precision)) for record in records}
    assert len(cells) == 6


def test_both_files_are_listed_counted_and_hold_the_weights(place: Path) -> None:
    made = artifacts(place)
    whole = made["fp32"]
    assert (whole.path / "model.onnx.data").exists()
    assert whole.onnx.stat().st_size < whole.onnx_bytes > 22_000
    model = onnx.load(whole.onnx, load_external_data=False)
    assert external.is_open(model)
    assert {e.value for t in external.external(model) for e in t.external_data if e.key == "location"} == {
        "model.onnx.data"
    }
    onnx.checker.check_model(str(whole.onnx), full_check=True)
    assert made["fp16"].onnx_bytes < 0.7 * whole.onnx_bytes
    for artifact in made.values():
        assert not list(artifact.path.glob(".tensors*"))
        assert artifact.parity is not None
        assert artifact.parity.passed


def test_a_damaged_data_file_is_found_and_made_again(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "store", tmp_path / "store")
    whole = artifacts(place)["fp32"]
    beside = tmp_path / "store" / "onnx" / whole.key / "model.onnx.data"
    content = bytearray(beside.read_bytes())
    content[len(content) // 2] ^= 1
    beside.write_bytes(content)
    said: list[str] = []
    store = Store(tmp_path / "store", said.append)
    assert store.try_load("onnx", whole.key) is None

    def again(folder: Path) -> dict[str, Any]:
        copy_files(whole.onnx, folder / "model.onnx")
        return {}

    assert (
        store.obtain("onnx", whole.key, again).file("model.onnx.data").read_bytes()
        == (whole.path / "model.onnx.data").read_bytes()
    )
    assert "model.onnx.data" in said[0]


@pytest.mark.parametrize("name", ["ort", "openvino"])
def test_a_shipped_folder_holds_both_and_its_check_covers_both(name: str, place: Path, tmp_path: Path) -> None:
    folder = tmp_path / "camera"
    command = [str(place / "out"), "--store", str(place / "store"), "--to", str(folder)]
    assert main([*command, "--cell", f"{name} fp32"]) == 0
    assert "model.onnx.data" in (folder / "SHA256SUMS").read_text()
    done = subprocess.run([sys.executable, "-B", str(folder / "predict.py"), "--self-test"], capture_output=True)
    assert done.returncode == 0
    with (folder / "model.onnx.data").open("r+b") as opened:
        opened.truncate(5000)
    with pytest.raises(UserError, match=r"model\.onnx\.data in .* is changed"):
        main(["--check", str(folder)])


@pytest.mark.skipif(not find_spec("tensorrt_rtx_bindings"), reason="TensorRT-RTX is not installed")
def test_tensorrt_rtx_builds_from_both(place: Path) -> None:
    store = Store(place / "store", lambda line: None)
    plan = engine(EngineSpec("trt-rtx", targets=("8.6",))).plan(artifacts(place)["fp32"], Profile((1,)), store)
    assert plan.fields["layers"] > 10
    [headed] = (place / "store" / "headed").glob("*/model.onnx.data")
    assert headed.stat().st_size > 20_000


@pytest.mark.parametrize("name", ["ncnn", "litert"])
def test_a_converter_that_cannot_read_two_files_is_not_asked(name: str, place: Path) -> None:
    store = Store(place / "store", lambda line: None)
    with pytest.raises(CellError, match=r"too large for .*\n.*2 GB at most"):
        engine(EngineSpec(name)).plan(artifacts(place)["fp32"], Profile((1,)), store)


@pytest.mark.slow
def test_a_network_of_two_and_a_half_gigabytes_is_exported_lowered_and_run(tmp_path: Path) -> None:
    """ViT-H/14 with random weights and a small input, which saves time and no memory: about ten minutes on two cores,
    6 GB of memory, 9 GB of disk."""
    from export.lower.calibration import CalibrationSet
    from export.lower.precision import artifact
    from export.spec import Precision
    from export.zoo.backbones import resolve

    photos = draw(tmp_path / "set", height=90, width=110, ending="png")
    drawn = {f"{i}.jpg": photograph(i, 90 + 7 * i, 120) for i in range(16)}
    calibration = CalibrationSet("drawings", tuple(drawn)[::2], tuple(drawn)[1::2], "drawn", drawn.__getitem__)
    store = Store(tmp_path / "store", lambda line: None)
    backbone = replace(resolve("vit_huge_patch14_clip_224.laion2b@random"), size="56x56")
    whole, half = (
        artifact(backbone, store, precision=p, images=photos, calibration=calibration)
        for p in (Precision.FP32, Precision.FP16)
    )
    assert whole.onnx_bytes > 2.4e9
    assert {file.name for file in whole.path.iterdir()} >= {"model.onnx", "model.onnx.data"}
    assert 1.2e9 < half.onnx_bytes < 1.3e9
    for found in (whole, half):
        assert found.parity is not None
        assert found.parity.passed
    runner = engine(EngineSpec("ort"))
    with runner.load(runner.plan(whole, Profile((1,)), store)) as session:
        reference = whole.reference()
        assert reference is not None
        [features] = session.run(reference.pixels[:1])["features"]
    np.testing.assert_allclose(features, reference.outputs["features"][0], rtol=1e-2, atol=1e-3)
