"""Multiply-accumulates of one image, counted from the ONNX graph: Conv, Gemm and MatMul, as the field counts them."""

from __future__ import annotations

import warnings
from contextlib import suppress
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


UNCOUNTED = frozenset(
    {"ConvInteger", "ConvTranspose", "Einsum", "If", "Loop", "MatMulInteger", "QLinearConv", "QLinearMatMul", "Scan"}
)


def gmacs(model: onnx.ModelProto) -> float | None:
    """10⁹ multiply-accumulates at batch 1.

    Conv: output elements x kernel elements x input channels per group; MatMul and Gemm: output elements x inner
    dimension. Elementwise work is not counted. None where some shape cannot be inferred, or work is done in what is not
    counted (branches and loops, integer operators, operators of a runtime's own).
    """
    import onnxslim

    from export.convert.slimming import bare

    if any(node.op_type in UNCOUNTED or node.domain not in ("", "ai.onnx") for node in model.graph.node):
        return None

    fixed = bare(model)
    for value in fixed.graph.input[: len(model.graph.input)]:
        value.type.tensor_type.shape.dim[0].dim_value = 1
    del fixed.graph.value_info[:]
    for value in fixed.graph.output:
        value.type.tensor_type.shape.dim[0].Clear()
    found = _count(fixed)
    if found is None:  # reshapes that are worked out from the batch: with the batch fixed they fold into constants
        with warnings.catch_warnings(), suppress(Exception):  # a graph that it cannot simplify is not counted
            warnings.simplefilter("ignore")
            found = _count(onnxslim.slim(fixed))
    return found


def _count(model: onnx.ModelProto) -> float | None:
    import onnx

    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError):
        return None
    shapes = {i.name: tuple(i.dims) for i in inferred.graph.initializer}
    for value in [*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output]:
        shapes[value.name] = tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
    total = 0
    for node in inferred.graph.node:
        if node.op_type not in ("Conv", "MatMul", "Gemm"):
            continue
        out, left = shapes.get(node.output[0], ()), shapes.get(node.input[0], ())
        if not out or not left or 0 in out or 0 in left:
            return None
        if node.op_type == "Conv":
            kernel = shapes.get(node.input[1], ())
            if not kernel:
                return None
            total += prod(out) * prod(kernel[1:])
        else:
            transposed = any(a.name == "transA" and a.i for a in node.attribute)
            total += prod(out) * (left[0] if transposed else left[-1])
    return total / 1e9
