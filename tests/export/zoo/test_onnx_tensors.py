from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from export.errors import UserError
from export.zoo.onnx_tensors import named


@pytest.mark.parametrize("bias_first", [False, True])
def test_a_nameless_weight_is_known_by_the_bias_beside_it(tmp_path: Path, bias_first: bool) -> None:
    weights = {n: np.random.default_rng(i).random((3, 2), np.float32) for i, n in enumerate("ab")}
    tensors = {
        "onnx::MatMul_7": weights["a"],
        "onnx::MatMul_3": weights["b"].T.copy(),
        "first.fc.bias": np.ones(2, np.float32),
        "second.fc.bias": np.zeros(3, np.float32),
        "scale": np.full(3, 5, np.float32),
    }
    constants = [helper.make_tensor(n, TensorProto.FLOAT, v.shape, v.ravel()) for n, v in tensors.items()]
    constants.append(helper.make_tensor("shape", TensorProto.INT64, [1], [4]))
    sums = [["first.fc.bias", "p"], ["second.fc.bias", "q"]]
    nodes = [
        helper.make_node("MatMul", ["x", "onnx::MatMul_7"], ["p"]),
        helper.make_node("Add", sums[0] if bias_first else sums[0][::-1], ["h"]),
        helper.make_node("MatMul", ["h", "onnx::MatMul_3"], ["q"]),
        helper.make_node("Add", sums[1] if bias_first else sums[1][::-1], ["r"]),
        helper.make_node("Add", ["r", "x"], ["s"]),
        helper.make_node("Mul", ["s", "scale"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 3]) for n in "xy"]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], constants)
    onnx.save(helper.make_model(graph), tmp_path / "net.onnx")

    found = named(tmp_path / "net.onnx")
    assert set(found) == {"first.fc.weight", "first.fc.bias", "second.fc.weight", "second.fc.bias", "scale"}
    np.testing.assert_array_equal(found["first.fc.weight"], weights["a"].T)
    np.testing.assert_array_equal(found["second.fc.weight"], weights["b"])
    np.testing.assert_array_equal(found["scale"], tensors["scale"])


@pytest.mark.parametrize("raw", [b"no protocol buffer", None])
def test_what_is_no_onnx_file_gets_a_sentence(tmp_path: Path, raw: bytes | None) -> None:
    if raw is not None:
        (tmp_path / "net.onnx").write_bytes(raw)
    with pytest.raises(UserError, match=r"not an ONNX file|cannot be read"):
        named(tmp_path / "net.onnx")
