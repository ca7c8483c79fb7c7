"""fp32 file → INT8 or FP8 file with Q/DQ pairs that ONNX Runtime, OpenVINO and TensorRT all take.

Symmetric everywhere, one scale a tensor for activations and one a channel for weights, biases left in floating point:
TensorRT rejects zero points and quantised biases. Only what reads a constant weight is quantised (Conv, Gemm, MatMul);
attention's own products, normalisations and additions stay fp32.

``onnxruntime.quantization`` was tried first, and its INT8 file is the same as this one (a test holds that). It is not
used: its calibrators hold every tensor of every photograph in memory; its entropy calibrator as it comes has as many
bins as levels, and so clips nothing; its FP8 scales are taken from the standard deviation, so that weights beyond 4.5
of them are clipped, and a channel of zeros becomes NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from export import external
from export.lower.activations import Histogram
from export.lower.graph import Graph, raised
from export.spec import Precision

if TYPE_CHECKING:
    import onnx

OPERATORS = ("Conv", "Gemm", "MatMul")
LEVELS = {Precision.INT8: 127.0, Precision.FP8: 448.0}
"""The largest magnitude that the format holds."""
HALF_RANGE = 64.0
"""The largest INT8 weight of which two products with 8-bit activations fit into 16 bits: 2 · 255 · 64 < 2¹⁵."""
TYPES: dict[Precision, np.dtype[Any]] = {
    Precision.INT8: np.dtype(np.int8),
    Precision.FP8: np.dtype(ml_dtypes.float8_e4m3fn),
}
OPSET = {Precision.INT8: 13, Precision.FP8: 19}
"""The first opset whose Q/DQ operators take the format."""
PERCENTILE = 99.99


def minmax(seen: Histogram) -> float:
    """The largest magnitude."""
    return seen.peak


def percentile(seen: Histogram) -> float:
    """The magnitude below which 99.99 % of the values lie."""
    if not seen.peak:
        return 0.0
    share = np.cumsum(seen.counts) / seen.counts.sum()
    edge = (int(np.searchsorted(share, PERCENTILE / 100)) + 1) * seen.top / len(seen.counts)
    return min(edge, seen.peak)


def least_error(seen: Histogram) -> float:
    """The threshold with the least mean squared error of rounding and clipping together."""
    if not seen.peak:
        return 0.0
    thresholds = seen.peak * np.linspace(0.1, 1.0, 91)[:, None]
    steps = thresholds / LEVELS[Precision.INT8]
    levels = np.minimum(np.round(seen.centers / steps), LEVELS[Precision.INT8])
    errors = ((seen.centers - levels * steps) ** 2) @ seen.counts
    return float(thresholds[errors.argmin(), 0])


CALIBRATORS: Mapping[str, Callable[[Histogram], float]] = {
    "minmax": minmax,
    "percentile": percentile,
    "mse": least_error,
}


def quantizable(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The nodes that read a constant weight of at least two axes; of a product, two and no more: ONNX Runtime's integer
    kernel takes no stack of matrices with a scale a channel (such are keys of a constant text, not weights)."""
    graph = Graph(model)
    return [
        n
        for n in model.graph.node
        if n.op_type in OPERATORS
        and not graph.is_constant(n.input[0])
        and graph.is_constant(n.input[1])
        and (axes := graph.constant(n.input[1]).ndim) >= 2
        and (n.op_type != "MatMul" or axes == 2)
    ]


def activations(model: onnx.ModelProto) -> list[str]:
    """The tensors that get a scale."""
    return list(dict.fromkeys(n.input[0] for n in quantizable(model)))


def quantized(
    model: onnx.ModelProto,
    thresholds: Mapping[str, float],
    precision: Precision,
    leave_out: Collection[str] = (),
    half_range: bool = False,
) -> onnx.ModelProto:
    """The same network with Q/DQ pairs.

    Args:
        thresholds: activation → the magnitude that becomes the largest level (127, or 448 in fp8).
        precision: INT8, or FP8 (E4M3).
        leave_out: names of nodes that stay fp32.
        half_range: weights take levels up to :data:`HALF_RANGE` only.

    Raises:
        CellError: the file cannot be raised to the opset that the precision needs.
    """
    targets = {n.name for n in quantizable(model)} - set(leave_out)
    writer = _Writer(Graph(raised(model, OPSET[precision])), precision, HALF_RANGE if half_range else LEVELS[precision])
    nodes: list[onnx.NodeProto] = []
    for node in writer.graph.model.graph.node:
        if node.name in targets:
            before = writer.activation(node.input[0], thresholds[node.input[0]])
            before += writer.weight(node.input[1], _channel_axis(writer.graph, node))
            nodes += before
            node.input[0], node.input[1] = writer.names[node.input[0]], writer.names[node.input[1]]
        nodes.append(node)
    graph = writer.graph.model.graph
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
    writer.graph.drop_unread_constants()
    external.check(writer.graph.model)
    return writer.graph.model


class _Writer:
    """Makes the pairs, each tensor's once."""

    def __init__(self, graph: Graph, precision: Precision, weight_level: float) -> None:
        self.graph, self.type = graph, TYPES[precision]
        self.largest, self.weight_level = LEVELS[precision], weight_level
        self.names: dict[str, str] = {}  # tensor → what comes out of its pair

    def activation(self, name: str, threshold: float) -> list[onnx.NodeProto]:
        """The pair's nodes for an activation; none where it has been made."""
        from onnx import helper

        if name in self.names:
            return []
        scale = np.array(max(threshold, 1e-6) / self.largest, np.float32)
        constants = [self._constant(f"{name}.scale", scale), self._constant(f"{name}.zero", np.zeros((), self.type))]
        narrow, self.names[name] = f"{name}.quantized", f"{name}.dequantized"
        return [
            helper.make_node("QuantizeLinear", [name, *constants], [narrow], narrow),
            helper.make_node("DequantizeLinear", [narrow, *constants], [self.names[name]], self.names[name]),
        ]

    def weight(self, name: str, axis: int) -> list[onnx.NodeProto]:
        """The node that widens a weight which lies quantised in the file; none where it has been made."""
        from onnx import helper

        if name in self.names:
            return []
        values = self.graph.constant(name).astype(np.float32)
        others = tuple(i for i in range(values.ndim) if i != axis)
        peaks = np.abs(values).max(axis=others)
        scale = (np.where(peaks > 0, peaks, 1.0) / self.weight_level).astype(np.float32)
        steps = values / scale.reshape([-1 if i == axis else 1 for i in range(values.ndim)])
        whole = np.rint(steps) if self.type == np.int8 else steps
        narrow = np.clip(whole, -self.weight_level, self.weight_level).astype(self.type)
        inputs = [
            self._constant(f"{name}.quantized", narrow),
            self._constant(f"{name}.scale", scale),
            self._constant(f"{name}.zero", np.zeros(len(scale), self.type)),
        ]
        self.names[name] = f"{name}.dequantized"
        return [helper.make_node("DequantizeLinear", inputs, [self.names[name]], self.names[name], axis=axis)]

    def _constant(self, name: str, values: npt.NDArray[Any]) -> str:
        self.graph.model.graph.initializer.append(external.constant(self.graph.model, np.asarray(values), name))
        return name


def _channel_axis(graph: Graph, node: onnx.NodeProto) -> int:
    """The axis of a node's weight that is the output's channel."""
    if node.op_type == "Conv" or graph.attribute(node, "transB", 0):
        return 0
    return graph.constant(node.input[1]).ndim - 1
