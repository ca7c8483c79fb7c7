"""Where a lower precision breaks: the signal-to-noise ratio of every tensor that it shares with the fp32 file.

A cosine at the end says that something is lost; the first node below the bound says where. The bound belongs to the
parity gate's cosine c: noise that is not correlated with the signal turns it by c when SNR = −10 log₁₀(2 (1 − c)) dB.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from export.lower.activations import Float, watch
from export.lower.graph import tensor_types
from export.parity import TOLERANCE
from export.spec import Precision

if TYPE_CHECKING:
    import onnx

GROUP = 192
"""Tensors watched at once: the inner tensors of a large network do not fit into memory together."""
SKIPPED = frozenset({"Cast", "Constant", "DequantizeLinear", "QuantizeLinear", "Reshape", "Shape", "Transpose"})


@dataclass(frozen=True)
class Noise:
    """One node's output against fp32: ``snr_db`` = 10 log₁₀(Σ reference² / Σ (reference − found)²) over all images;
    −inf where it holds NaN or Inf."""

    node: str
    operator: str
    snr_db: float

    def as_json(self) -> dict[str, Any]:
        """For a manifest; an infinite ratio is written as ±999."""
        return {"node": self.node, "operator": self.operator, "snr_db": round(max(-999.0, min(999.0, self.snr_db)), 1)}


def bound_db(precision: Precision) -> float:
    """The signal-to-noise ratio at which the parity gate's least cosine is reached."""
    return -10 * math.log10(2 * (1 - TOLERANCE[precision][0]))


def noise(reference: onnx.ModelProto, lowered: onnx.ModelProto, values: Float) -> Iterator[Noise]:
    """The noise of every float tensor that both files compute, in the order of the graph.

    Args:
        lowered: a file that ONNX Runtime computes as it is meant (see ``export.lower.casting.rounded``).
        values: float32 [n, …] inputs.
    """
    import onnx

    types = tensor_types(reference)
    common = {name for node in lowered.graph.node for name in node.output}
    nodes = [
        n
        for n in reference.graph.node
        if n.op_type not in SKIPPED and types.get(n.output[0]) == onnx.TensorProto.FLOAT and n.output[0] in common
    ]
    for start in range(0, len(nodes), GROUP):
        group = nodes[start : start + GROUP]
        names = [n.output[0] for n in group]
        signal, error = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
        pairs = zip(watch(reference, names, values, 1), watch(lowered, names, values, 1), strict=True)
        for wanted, found in pairs:
            for name in names:
                a, b = wanted[name].astype(np.float64), np.asarray(found[name], np.float64)
                signal[name] += float((a**2).sum())
                error[name] += float(((a - b) ** 2).sum()) if np.isfinite(b).all() else math.inf
        for node, name in zip(group, names, strict=True):
            yield Noise(node.name, node.op_type, _decibels(signal[name], error[name]))


def first_below(reference: onnx.ModelProto, lowered: onnx.ModelProto, values: Float, bound: float) -> Noise | None:
    """The first node, in the order of the graph, whose signal-to-noise ratio is below ``bound`` dB; None if none is."""
    return next((n for n in noise(reference, lowered, values) if n.snr_db < bound), None)


def _decibels(signal: float, error: float) -> float:
    if error == 0 or signal == 0:
        return math.inf
    return -math.inf if math.isinf(error) else 10 * math.log10(signal / error)
