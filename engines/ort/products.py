"""The operators of an ONNX graph that multiply by weights, counted by the precision that they compute in."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from export.spec import Precision

if TYPE_CHECKING:
    import onnx

PRODUCTS = frozenset({"Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul"})
INTEGER_PRODUCTS = frozenset(
    {"ConvInteger", "MatMulInteger", "MatMulIntegerToFloat", "QGemm", "QLinearConv", "QLinearMatMul"}
)


def of_onnx(model: onnx.ModelProto) -> dict[str, int]:
    """Precision → number of operators that multiply by constant weights, of a graph as a runtime rewrote it.

    A product whose weights come out of a DequantizeLinear is computed in the type that it dequantises to.
    """
    import onnx

    types = {
        onnx.TensorProto.FLOAT: Precision.FP32,
        onnx.TensorProto.FLOAT16: Precision.FP16,
        onnx.TensorProto.BFLOAT16: Precision.BF16,
    }
    constants = {i.name: i.data_type for i in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in constants:
            constants[node.output[0]] = constants.get(node.input[1], onnx.TensorProto.FLOAT)
        elif node.op_type == "Cast" and node.input[0] in constants:
            constants[node.output[0]] = next(a.i for a in node.attribute if a.name == "to")
    found: Counter[str] = Counter()
    for node in model.graph.node:
        if node.op_type in INTEGER_PRODUCTS:
            found[str(Precision.INT8)] += 1
        elif node.op_type in PRODUCTS and len(node.input) > 1 and constants.get(node.input[1]) in types:
            found[str(types[constants[node.input[1]]])] += 1
    return dict(found)
