"""What TensorRT-RTX really says of files that it does not take, and that the user gets its sentence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import NodeProto, helper, numpy_helper
from onnx import TensorProto as T

from engines.trt.builder import LOG, Request, build
from engines.trt.flavour import RTX
from export.errors import CellError

pytest.importorskip("tensorrt_rtx_bindings", reason="TensorRT-RTX is not installed")
ARCHITECTURES = ("7.5", "8.0", "8.6", "8.9", "12.0")


def network(nodes: Sequence[NodeProto], constants: dict[str, Any], batch: int | str = "n", opset: int = 17) -> bytes:
    """float32 ``x`` [n, 4, 8, 8] → float32 ``y``."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", T.FLOAT, (batch, 4, 8, 8))],
        [helper.make_tensor_value_info("y", T.FLOAT, None)],
        [v if isinstance(v, T) else numpy_helper.from_array(np.asarray(v), n) for n, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    return bytes(model.SerializeToString())


def quantised(zero_point: np.generic, with_bias: bool = False) -> bytes:
    """A convolution with quantised input and weights, and if wanted a quantised bias, as some tools write it."""
    constants = {
        "scale": np.float32(0.02),
        "zero": zero_point,
        "w": np.random.default_rng(0).integers(-127, 127, (8, 4, 3, 3), dtype=np.int8),
        "w_scale": np.full(8, 0.01, np.float32),
        "w_zero": np.zeros(8, np.int8),
        "b": np.arange(8, dtype=np.int32),
        "b_scale": np.full(8, 2e-4, np.float32),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"], "quantize"),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"], "dequantize"),
        helper.make_node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["wd"], "weights", axis=0),
        helper.make_node("DequantizeLinear", ["b", "b_scale"], ["bd"], "bias", axis=0),
        helper.make_node("Conv", ["d", "wd", "bd"], ["y"], "conv", pads=[1] * 4),
    ]
    if not with_bias:
        del nodes[3], nodes[3].input[2], constants["b"], constants["b_scale"]
    return network(nodes, constants)


def product(kind: int) -> bytes:
    """A matrix product in that type; fp8 with Q/DQ, as its files have it."""
    if kind == T.FLOAT8E4M3FN:
        constants = {
            "scale": np.float32(0.02),
            "zero": helper.make_tensor("zero", kind, (), [0.0]),
            "w": helper.make_tensor("w", kind, (8, 8), np.zeros(64)),
        }
        nodes = [
            helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
            helper.make_node("DequantizeLinear", ["w", "scale", "zero"], ["wd"]),
            helper.make_node("MatMul", ["d", "wd"], ["y"], "matmul"),
        ]
        return network(nodes, constants, opset=19)
    nodes = [
        helper.make_node("Cast", ["x"], ["xc"], to=kind),
        helper.make_node("Cast", ["w"], ["wc"], to=kind),
        helper.make_node("MatMul", ["xc", "wc"], ["yc"], "matmul"),
        helper.make_node("Cast", ["yc"], ["y"], to=T.FLOAT),
    ]
    return network(nodes, {"w": np.eye(8, dtype=np.float32)})


def built(model: bytes, folder: Path, target: str = "8.6") -> dict[str, Any]:
    file = folder / "model.onnx"
    file.write_bytes(model)
    return build(RTX, file, Request(targets=(target,)), folder)


def refused(model: bytes, folder: Path, target: str = "8.6") -> CellError:
    with pytest.raises(CellError) as failure:
        built(model, folder, target)
    assert (folder / LOG).stat().st_size > 0  # also of a build that failed
    assert "_src" not in failure.value.why  # no place in somebody's sources
    return failure.value


def test_symmetric_qdq_without_bias_is_built_for_every_architecture(tmp_path: Path) -> None:
    for target in ARCHITECTURES:
        assert built(quantised(np.int8(0)), tmp_path, target)["targets"] == [target]


@pytest.mark.parametrize("zero_point", [np.int8(3), np.uint8(128)])
def test_asymmetric_qdq(zero_point: np.generic, tmp_path: Path) -> None:
    error = refused(quantised(zero_point), tmp_path)
    assert error.what == "TensorRT-RTX rejects this file."
    assert error.why.startswith("Node 'quantize' (QuantizeLinear): Non-zero zero point is not supported.")


def test_quantised_bias(tmp_path: Path) -> None:
    error = refused(quantised(np.int8(0), with_bias=True), tmp_path)
    assert error.why.startswith("Node 'bias' (DequantizeLinear): bias: input has type Int32 but must have type FP8,")


@pytest.mark.parametrize(
    ("kind", "fails", "reason"),
    [
        (T.FLOAT, ("7.5",), "operation 'matmul' for Turing (SM75): FP32 GEMM is not supported"),
        (T.FLOAT16, (), ""),
        (T.BFLOAT16, ("7.5",), "because the model contains HW-specific datatypes: b16"),
        (T.FLOAT8E4M3FN, ("7.5", "8.0", "8.6"), "because the model contains HW-specific datatypes: fp8_e4m3"),
    ],
    ids=["fp32", "fp16", "bf16", "fp8"],
)
def test_precisions_that_an_architecture_lacks(kind: int, fails: tuple[str, ...], reason: str, tmp_path: Path) -> None:
    for target in ARCHITECTURES:
        if target in fails:
            error = refused(product(kind), tmp_path, target)
            assert error.what == "TensorRT-RTX cannot build this file."
            assert error.why.startswith("Cannot compile ")
            assert error.why.endswith(reason)
        else:
            assert built(product(kind), tmp_path, target)["layers"] > 0


def test_unknown_operators_are_counted(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("NotAnOperator", ["x"], ["between"], "one"),
        helper.make_node("NorThisOne", ["between"], ["y"], "two"),
    ]
    error = refused(network(nodes, {}), tmp_path)
    assert error.why.startswith("Node 'one' (NotAnOperator): ")
    assert error.why.endswith("(and 1 more)")


def test_shapes_that_do_not_fit(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"], "matmul")]
    error = refused(network(nodes, {"w": np.eye(7, dtype=np.float32)}), tmp_path)
    assert error.why.startswith("Node 'matmul' (MatMul): matmul: last dimension of input0 = 8 and second to last")


def test_what_is_no_network(tmp_path: Path) -> None:
    assert refused(b"not a network", tmp_path).why == "Failed to parse the ONNX model."


def test_a_batch_axis_that_is_fixed(tmp_path: Path) -> None:
    relu = network([helper.make_node("Relu", ["x"], ["y"])], {}, batch=1)
    assert refused(relu, tmp_path).why == "x is [1, 4, 8, 8]."
