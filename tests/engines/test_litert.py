"""What is LiteRT's own: a converter in an environment of its own, half precision, and files that it cannot load.

What the converter makes of the network below lies in ``converted/``, so that a test needs no such environment.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from engines import litert
from engines.base import EngineSpec, Pixels, Plan, Profile
from engines.catalog import engine
from engines.conversion import SHELF
from engines.litert import CONVERTER, FILES, TFLITE, VERSION, LiteRtEngine
from export.artifact import ONNX, Artifact
from export.errors import CellError, Unavailable
from export.spec import Precision
from export.store import Store

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")
RUNNER = LiteRtEngine(EngineSpec("litert", threads=2))
CONVERTED = Path(__file__).parent / "converted"
PRODUCTS = 3


def network() -> onnx.ModelProto:
    """Two convolutions and a product, from ``pixel_values`` to ``features`` [n, 8] and ``map`` [n, 8, 16, 16]."""
    drawn = np.random.default_rng(0)
    shapes = {"w": (8, 3, 3, 3), "d": (8, 1, 3, 3), "m": (8, 8)}
    weights = {name: drawn.normal(size=shape).astype(np.float32) / 3 for name, shape in shapes.items()}
    nodes = [
        helper.make_node("Conv", ["pixel_values", "w"], ["c"], "c", strides=[2, 2], pads=[1] * 4),
        helper.make_node("Relu", ["c"], ["r"], "r"),
        helper.make_node("Conv", ["r", "d"], ["map"], "d", group=8, pads=[1] * 4),
        helper.make_node("GlobalAveragePool", ["map"], ["g"], "g"),
        helper.make_node("Flatten", ["g"], ["f"], "f"),
        helper.make_node("MatMul", ["f", "m"], ["features"], "m"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["n", 3, 32, 32])],
        [
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 8]),
            helper.make_tensor_value_info("map", TensorProto.FLOAT, ["n", 8, 16, 16]),
        ],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def stored(artifact: Artifact, folder: Path) -> tuple[Store, Artifact]:
    """The network in a store of its own, which has no conversion of it."""

    def build(place: Path) -> dict[str, Any]:
        onnx.save(network(), place / ONNX)
        shapes = {"features": [8], "map": [8, 16, 16]}
        outputs = [{"name": name, "shape": shape, "dtype": "float32"} for name, shape in shapes.items()]
        return {**artifact.fields, "outputs": outputs}

    store = Store(folder / "store")
    return store, Artifact.of(store.obtain("onnx", "c" * 32, build))


@pytest.fixture(scope="module")
def planned(artifact: Artifact, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Plan]:
    """Its plan for batches of 1 and 4, of a conversion that came from elsewhere."""
    store, own = stored(artifact, tmp_path_factory.mktemp("litert"))

    def build(folder: Path) -> dict[str, Any]:
        shutil.copytree(CONVERTED, folder, dirs_exist_ok=True)
        return {"products": litert._products(folder / FILES[Precision.FP32]), "onnx": own.key}

    store.obtain(SHELF, RUNNER.conversion_key(own.key), build)
    return store, RUNNER.plan(own, Profile((1, 4)), store)


def test_same_outputs_as_onnx_runtime(planned: tuple[Store, Plan], pixels: Pixels) -> None:
    store, plan = planned
    pytest.importorskip("onnxruntime")
    runner = engine("ort")
    with runner.load(runner.plan(plan.artifact, Profile((4,)), store)) as session:
        wanted = session.run(pixels)
    with RUNNER.load(plan) as session:
        found = session.run(pixels)
        alone = [session.run(pixels[i : i + 1]) for i in range(4)]
        kept = {name: rows.copy() for name, rows in found.items()}
        session.run(255 - pixels)
    for name, rows in found.items():
        np.testing.assert_allclose(rows, wanted[name], atol=1e-5 * np.abs(wanted[name]).max())
        np.testing.assert_array_equal(rows, np.concatenate([one[name] for one in alone]))
        np.testing.assert_array_equal(rows, kept[name])  # it belongs to the caller


def test_several_threads_get_what_one_gets(planned: tuple[Store, Plan], pixels: Pixels) -> None:
    _, plan = planned
    with RUNNER.load(plan) as session:
        alone = [session.run(pixels[i : i + 1])["features"] for i in range(4)]
    both = LiteRtEngine(EngineSpec("litert", threads=2, streams=2))
    with both.load(replace(plan, engine=both.spec)) as session, ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda i: session.run(pixels[i % 4 : i % 4 + 1])["features"], range(40)))
    for i, found in enumerate(together):
        np.testing.assert_allclose(found, alone[i % 4], rtol=1e-5, atol=1e-6)


def test_without_its_converter_it_says_how_to_make_it(artifact: Artifact, tmp_path: Path) -> None:
    store, own = stored(artifact, tmp_path)
    with pytest.raises(Unavailable, match=r"tiny is not converted for LiteRT yet, and the converter") as failure:
        RUNNER.plan(own, Profile(), store)
    place = store.root / "tools" / f"{CONVERTER}-{VERSION}"
    assert failure.value.remedy.startswith(f"python3.12 -m venv {place} && {place}/bin/python -m pip install")


def test_a_converter_that_fails_is_a_sentence(artifact: Artifact, tmp_path: Path) -> None:
    store, own = stored(artifact, tmp_path)
    python = store.root / "tools" / f"{CONVERTER}-{VERSION}" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)  # an environment, and no converter in it
    with pytest.raises(CellError, match=r"onnx2tf cannot convert tiny\.\nIt ended with code 1: .*onnx2tf"):
        RUNNER.plan(own, Profile(), store)


def test_half_precision_is_emulated_where_the_processor_lacks_it(
    planned: tuple[Store, Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, plan = planned
    assert plan.arithmetic == {"fp32": PRODUCTS}
    half = replace(plan.artifact, precision=Precision.FP16, fields={**plan.artifact.fields, "base": plan.artifact.key})
    entry = RUNNER.converted(half, store)
    assert set(entry.files) == set(FILES.values())  # both precisions come from one conversion
    monkeypatch.setattr(litert, "instructions", lambda: ("x86_64", "avx2"))
    assert RUNNER._plan_of(entry, half, Profile()).emulated == "0 of 3 products run in fp16, the others in fp32"
    monkeypatch.setattr(litert, "instructions", lambda: ("aarch64", "asimdhp"))
    assert RUNNER._plan_of(entry, half, Profile()).emulated == ""


def test_a_file_of_another_network_is_refused(planned: tuple[Store, Plan]) -> None:
    _, plan = planned
    features, maps = plan.artifact.outputs
    other = replace(plan.artifact, outputs=(replace(features, shape=(9,)), maps))
    with pytest.raises(CellError, match=r"LiteRT gives \(8,\) for features, which is \(9,\)"):
        RUNNER.load(replace(plan, artifact=other))


def test_a_file_that_does_not_load_is_a_failed_cell(planned: tuple[Store, Plan], tmp_path: Path) -> None:
    (tmp_path / TFLITE).write_bytes(b"not a network")
    with pytest.raises(CellError, match="LiteRT cannot load this plan"):
        RUNNER.load(replace(planned[1], path=tmp_path))


@pytest.mark.slow
@pytest.mark.network
def test_the_command_that_it_names_makes_the_converter(artifact: Artifact, tmp_path: Path, pixels: Pixels) -> None:
    store, own = stored(artifact, tmp_path)
    with pytest.raises(Unavailable) as failure:
        RUNNER.plan(own, Profile((1, 4)), store)
    made = subprocess.run(failure.value.remedy, shell=True, capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no Python 3.12, or no package index: {made.stderr.strip().splitlines()[-1]}")
    plan = RUNNER.plan(own, Profile((1, 4)), store)
    assert plan.arithmetic == {"fp32": PRODUCTS}
    with RUNNER.load(plan) as session:
        found = session.run(pixels)
    shutil.copyfile(CONVERTED / FILES[Precision.FP32], tmp_path / TFLITE)
    with RUNNER.load(replace(plan, path=tmp_path)) as session:  # what lies here is still what it makes
        np.testing.assert_allclose(found["features"], session.run(pixels)["features"], rtol=1e-5, atol=1e-6)
