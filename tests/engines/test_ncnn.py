"""What is ncnn's own: conversion by pnnx, once for all processors; strides, spinning threads, narrow precisions."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from engines import conversion, ncnn
from engines.base import EngineSpec, Pixels, Plan, Profile
from engines.library import installed
from engines.ncnn import BIN, NcnnEngine, mat
from export.artifact import ONNX, Artifact
from export.errors import CellError, Unavailable
from export.spec import Precision
from export.store import Store

pytest.importorskip("ncnn", reason="ncnn is not installed")
RUNNER = NcnnEngine(EngineSpec("ncnn", threads=2))


@pytest.fixture(scope="module", autouse=True)
def _converter(artifact: Artifact) -> None:
    try:
        ncnn._pnnx(artifact)
    except Unavailable as error:
        pytest.skip(str(error))


def of_nodes(
    artifact: Artifact,
    folder: Path,
    nodes: list[onnx.NodeProto],
    constants: dict[str, npt.NDArray[Any]],
    opset: int = 17,
) -> tuple[Store, Artifact]:
    """A graph from ``pixel_values`` to ``features``, and to ``map`` where there is one, in a store of its own."""
    made = [name for node in nodes for name in node.output if name in ("features", "map")]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["n", 3, 32, 32])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in made],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    shapes = {"features": [8], "map": [8, 32, 32]}
    outputs = [{"name": name, "shape": shapes[name], "dtype": "float32"} for name in made]

    def build(place: Path) -> dict[str, Any]:
        onnx.save(model, place / ONNX)
        return {**artifact.fields, "outputs": outputs}

    store = Store(folder / "store")
    return store, Artifact.of(store.obtain("onnx", "f" * 32, build))


CONV: dict[str, npt.NDArray[Any]] = {"w": np.random.default_rng(0).normal(size=(8, 3, 1, 1)).astype(np.float32)}


def test_an_array_is_taken_by_its_values_not_its_memory() -> None:
    turned = np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(0, 2, 1)
    np.testing.assert_array_equal(np.asarray(mat(turned)), turned)
    assert not np.array_equal(np.asarray(ncnn._ncnn().Mat(turned)), turned)  # the trap is still there


def test_outputs_come_by_name_whatever_their_order(artifact: Artifact, pixels: Pixels, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["pixel_values", "w"], ["map"], "c"),
        helper.make_node("ReduceMean", ["map"], ["features"], "m", axes=[2, 3], keepdims=0),
    ]
    store, both = of_nodes(artifact, tmp_path, nodes, CONV)
    assert [o.name for o in both.outputs] == ["map", "features"]
    with RUNNER.load(RUNNER.plan(both, Profile((2,)), store)) as session:
        found = session.run(pixels[:2])
        again = session.run(pixels[:2])
    assert {name: rows.shape for name, rows in found.items()} == {"map": (2, 8, 32, 32), "features": (2, 8)}
    np.testing.assert_allclose(found["map"].mean((2, 3)), found["features"], atol=1e-5)
    for name, rows in found.items():
        np.testing.assert_array_equal(rows, again[name])


def test_a_board_without_the_converter_runs_what_was_converted(
    artifact: Artifact, room: Store, planned: Callable[[str], Plan], pixels: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = planned("ncnn")
    [packed] = RUNNER.pack(artifact, here.profile, room)
    assert set(packed.files) < {path.name for path in here.path.iterdir()}
    monkeypatch.setattr(ncnn, "installed", lambda name: "" if name == "pnnx" else installed(name))
    monkeypatch.setattr(conversion, "instructions", lambda: ("board",))
    board = RUNNER.plan(artifact, here.profile, room)
    assert board.key != here.key  # another processor's features are other features
    assert board.content == here.content
    with RUNNER.load(board) as session:
        assert session.run(pixels)["features"].any()
    other = Artifact.of(room.obtain("onnx", "a" * 32, lambda folder: dict(artifact.fields)))
    with pytest.raises(Unavailable, match=r"is not converted for ncnn yet, and the converter \(pnnx\)") as failure:
        RUNNER.plan(other, here.profile, room)
    assert failure.value.remedy.endswith("backbones-deployed[ncnn]'")


def test_converting_imports_no_pytorch(artifact: Artifact, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from engines import ncnn\n"
        "from engines.base import EngineSpec\n"
        "from export.artifact import Artifact\n"
        "from export.store import Store\n"
        "made = Artifact.of(Store(Path(sys.argv[1])).try_load('onnx', sys.argv[2]))\n"
        "ncnn.NcnnEngine(EngineSpec('ncnn'))._convert(made, Path(sys.argv[3]))\n"
        "assert not {'torch', 'onnx', 'pnnx'} & set(sys.modules)\n"
        "assert 'OMP_WAIT_POLICY' not in __import__('os').environ\n"
    )
    told = {**os.environ, "OMP_DISPLAY_ENV": "VERBOSE"}
    told.pop("OMP_WAIT_POLICY", None)
    store = artifact.path.parent.parent
    command = [sys.executable, "-c", code, str(store), artifact.key, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=told)
    assert done.returncode == 0, done.stderr
    if "libgomp" in str(list(Path(ncnn._ncnn().__file__).parent.parent.glob("ncnn.libs/*"))):
        assert "OMP_WAIT_POLICY = 'PASSIVE'" in done.stderr  # libgomp's own report of what it was loaded with
        assert "GOMP_SPINCOUNT = '0'" in done.stderr


def test_what_ncnn_has_no_layer_for_is_refused(artifact: Artifact, tmp_path: Path) -> None:
    constants: dict[str, npt.NDArray[Any]] = {**CONV, "scale": np.array(0.1, np.float32), "zero": np.array(0, np.int8)}
    nodes = [
        helper.make_node("QuantizeLinear", ["pixel_values", "scale", "zero"], ["q"], "q"),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"], "d"),
        helper.make_node("Conv", ["d", "w"], ["map"], "c"),
        helper.make_node("ReduceMean", ["map"], ["features"], "m", axes=[2, 3], keepdims=0),
    ]
    store, quantised = of_nodes(artifact, tmp_path, nodes, constants)
    with pytest.raises(CellError, match=r"pnnx cannot convert tiny\.\nncnn has no layer .*QuantizeLinear"):
        RUNNER.plan(quantised, Profile(), store)
    with pytest.raises(CellError, match="does not run int8"):
        RUNNER.plan(replace(quantised, precision=Precision.INT8), Profile(), store)
    with pytest.raises(CellError, match="is a finished fp16 file"):
        RUNNER.plan(replace(quantised, precision=Precision.FP16, fields={}), Profile(), store)


def test_what_pnnx_says_it_leaves_out_is_refused(artifact: Artifact, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Softmax", ["pixel_values"], ["s"], "s", axis=0),
        helper.make_node("Conv", ["s", "w"], ["map"], "c"),
        helper.make_node("ReduceMean", ["map"], ["features"], "m", axes=[2, 3], keepdims=0),
    ]
    store, odd = of_nodes(artifact, tmp_path, nodes, CONV)
    with pytest.raises(CellError, match=r"pnnx cannot convert tiny\.\nIt says: softmax along batch axis"):
        RUNNER.plan(odd, Profile(), store)


def test_a_network_that_pnnx_reads_wrongly_is_refused(artifact: Artifact, tmp_path: Path) -> None:
    """From opset 18 on the axes of a mean are an input: pnnx then takes the mean over nothing, and does not say so."""
    nodes = [
        helper.make_node("Conv", ["pixel_values", "w"], ["c"], "c"),
        helper.make_node("ReduceMean", ["c", "axis"], ["m"], "m", keepdims=0),
        helper.make_node("ReduceMean", ["m", "axis"], ["features"], "n", keepdims=0),
    ]
    store, odd = of_nodes(artifact, tmp_path, nodes, {**CONV, "axis": np.array([2])}, opset=18)
    with pytest.raises(CellError, match=r"crashes the library|ncnn gives .* for features, which is \[8\]"):
        RUNNER.plan(odd, Profile(), store)


def test_weights_that_no_layer_reads_are_refused(artifact: Artifact, room: Store, tmp_path: Path) -> None:
    made = RUNNER.converted(artifact, room)
    for name in made.files:
        (tmp_path / name).write_bytes(made.file(name).read_bytes())
    ncnn._require_all_read(artifact, tmp_path)
    with (tmp_path / BIN).open("ab") as file:
        file.write(bytes(8))
    with pytest.raises(CellError, match="8 bytes of the weights that it wrote belong to no layer"):
        ncnn._require_all_read(artifact, tmp_path)


def test_what_a_processor_lacks_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ncnn, "instructions", lambda: ("x86_64", "avx512f"))
    kinds = ("Convolution", "ConvolutionDepthWise")
    assert {ncnn._computed_in(Precision.FP32, kind) for kind in kinds} == {"fp32"}
    assert {ncnn._computed_in(Precision.BF16, kind) for kind in kinds} == {"fp32"}
    monkeypatch.setattr(ncnn, "instructions", lambda: ("x86_64", "avx512_bf16"))
    assert [ncnn._computed_in(Precision.BF16, kind) for kind in kinds] == ["bf16", "fp32"]
    half = "fp16" if ncnn._ncnn().cpu_support_arm_asimdhp() else "fp32"
    assert {ncnn._computed_in(Precision.FP16, kind) for kind in kinds} == {half}
