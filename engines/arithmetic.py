"""In which precision an engine really computes: counted over the operators that multiply by weights.

A file may ask for INT8 and an engine dequantise everything and compute in fp32: that is the file's accuracy, at fp32's
speed or worse. Such a cell is *emulated*, and is marked so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
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


def emulated(precision: Precision, arithmetic: Mapping[str, int]) -> str:
    """Why a plan counts as emulated, in words; empty where most of its products run in the file's precision, or where
    the engine does not tell (``arithmetic`` is empty)."""
    total = sum(arithmetic.values())
    native = arithmetic.get(str(precision), 0)
    if not total or 2 * native >= total:
        return ""
    rest = " and ".join(sorted(name for name in arithmetic if name != str(precision)))
    return f"{native} of {total} products run in {precision}, the others in {rest}"
