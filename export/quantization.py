"""fp32 file → INT8 (or FP8) file with Q/DQ pairs that ONNX Runtime, OpenVINO and TensorRT all take.

Symmetric everywhere, one scale a tensor for activations and one a channel for weights, biases left in floating point:
TensorRT rejects zero points and quantised biases. Only what reads a constant weight is quantised (Conv, Gemm, MatMul);
attention's own products, normalisations and additions stay fp32.

The pairs are written by ``onnxruntime.quantization``, which is kept up with the runtime. Its calibrators are not used:
they hold every tensor of every photograph in memory, and its entropy calibrator, as it comes, has as many bins as
levels, so that it can clip nothing and equals min–max.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

import ml_dtypes
import numpy as np

from export.activations import Histogram
from export.graph import Graph, raised
from export.spec import Precision

if TYPE_CHECKING:
    import onnx

OPERATORS = ("Conv", "Gemm", "MatMul")
LEVELS = {Precision.INT8: 127.0, Precision.FP8: 448.0}
"""The largest magnitude that the format holds."""
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
    """The nodes that read a constant weight of at least two axes."""
    graph = Graph(model)
    return [
        n
        for n in model.graph.node
        if n.op_type in OPERATORS
        and not graph.is_constant(n.input[0])
        and graph.is_constant(n.input[1])
        and graph.constant(n.input[1]).ndim >= 2
    ]


def activations(model: onnx.ModelProto) -> list[str]:
    """The tensors that get a scale."""
    return list(dict.fromkeys(n.input[0] for n in quantizable(model)))


def quantized(
    model: onnx.ModelProto, thresholds: Mapping[str, float], precision: Precision, leave_out: Collection[str] = ()
) -> onnx.ModelProto:
    """The same network with Q/DQ pairs.

    Args:
        thresholds: activation → the magnitude that becomes the largest level (127, or 448 in fp8).
        precision: INT8, or FP8 (E4M3, which needs opset 19: the model's is raised).
        leave_out: names of nodes that stay fp32.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantType
    from onnxruntime.quantization.calibrate import TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    nodes = [n.name for n in quantizable(model) if n.name not in leave_out]
    if precision is Precision.FP8:
        kind, zero = QuantType.QFLOAT8E4M3FN, np.zeros((), ml_dtypes.float8_e4m3fn)
        copy = raised(model, 19)
    else:
        kind, zero = QuantType.QInt8, np.zeros((), np.int8)
        copy = Graph.copy_of(model).model
    limits = {name: max(float(t), 1e-6) for name, t in thresholds.items()}
    # The library would take an fp8 scale from the standard deviation; both kinds get theirs from the threshold.
    scales = {
        name: [{"quant_type": kind, "scale": np.array(t / LEVELS[precision], np.float32), "zero_point": zero}]
        for name, t in limits.items()
    }
    options = {
        "ActivationSymmetric": True,
        "WeightSymmetric": True,
        "QuantizeBias": False,
        "OpTypesToExcludeOutputQuantization": list(OPERATORS),
        "TensorQuantOverrides": scales,
    }
    ranges = {name: (np.float32(-t), np.float32(t)) for name, t in limits.items()}
    writer = QDQQuantizer(
        copy,
        True,
        False,
        kind,
        kind,
        TensorsData(CalibrationMethod.MinMax, ranges),
        nodes,
        [],
        list(OPERATORS),
        options,
    )
    writer.quantize_model()
    writer.model.topological_sort()
    graph = Graph(writer.model.model)
    graph.drop_unread_constants()
    onnx.checker.check_model(graph.model)
    return graph.model
