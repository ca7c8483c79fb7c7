"""The operators of an ONNX graph that multiply by weights, counted by the precision that they compute in."""

from __future__ import annotations

from collections import Counter

from engines.graph import BFLOAT16, FLOAT, FLOAT16, Graph
from export.spec import Precision

PRODUCTS = frozenset({"Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul"})
INTEGER_PRODUCTS = frozenset(
    {"ConvInteger", "MatMulInteger", "MatMulIntegerToFloat", "QGemm", "QLinearConv", "QLinearMatMul"}
)
TYPES = {FLOAT: Precision.FP32, FLOAT16: Precision.FP16, BFLOAT16: Precision.BF16}


def of_onnx(graph: Graph) -> dict[str, int]:
    """Precision → number of operators that multiply by constant weights, of a graph as a runtime rewrote it.

    A product whose weights come out of a DequantizeLinear is computed in the type that it dequantises to.
    """
    types = dict(graph.initializers)
    for node in graph.nodes:
        if node.kind == "DequantizeLinear" and node.inputs[0] in types:
            types[node.outputs[0]] = types.get(node.inputs[1], FLOAT)
        elif node.kind == "Cast" and node.inputs[0] in types:
            types[node.outputs[0]] = node.to
    found: Counter[str] = Counter()
    for node in graph.nodes:
        if node.kind in INTEGER_PRODUCTS:
            found[str(Precision.INT8)] += 1
        elif node.kind in PRODUCTS and len(node.inputs) > 1 and types.get(node.inputs[1]) in TYPES:
            found[str(TYPES[types[node.inputs[1]]])] += 1
    return dict(found)
