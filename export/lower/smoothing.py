"""SmoothQuant: move the outliers of a transformer's activations into the weights that read them, before INT8.

A few channels after a LayerNormalization are tens of times larger than the rest; one scale for the whole tensor then
leaves the others a few of the 255 levels. Channel j of the activation is divided, and row j of the weight multiplied,
by s_j = max|X_j|^α / max|W_j|^(1−α), with α = 0.5 (Xiao et al., 2023, arXiv:2211.10438, equation 4). The division goes
into the normalisation's own scale and bias, so that the network computes what it did, at no cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from export.lower.activations import Float
from export.lower.graph import Graph

if TYPE_CHECKING:
    import onnx

ALPHA = 0.5


def places(model: onnx.ModelProto) -> list[str]:
    """The tensors whose outliers can be moved: a LayerNormalization makes them, and only matrix products read them."""
    return [norm.output[0] for norm, _ in _places(Graph(model))]


def smoothed(model: onnx.ModelProto, peaks: Mapping[str, Float]) -> tuple[onnx.ModelProto, dict[str, Float]]:
    """The same network with smaller outliers.

    Args:
        peaks: max |x| of each channel, float32 [channels], of each of the :func:`places`.

    Returns:
        The file, and by what each channel of each place was divided: name → float32 [channels].
    """
    graph = Graph.copy_of(model)
    scales: dict[str, Float] = {}
    for norm, readers in _places(graph):
        weights = [_rows_first(graph, node) for node in readers]
        largest = np.max([np.abs(w).max(axis=1) for w in weights], axis=0)
        activation = peaks[norm.output[0]]
        usable = (activation > 0) & (largest > 0)
        ratio = np.divide(activation, largest, out=np.ones_like(largest), where=usable)
        scale = np.clip(np.sqrt(ratio), 1e-4, 1e4)  # α = 0.5: max|X|^0.5 / max|W|^0.5
        scales[norm.output[0]] = scale
        for index in (1, 2):
            if len(norm.input) > index:
                graph.replace_constant(norm, index, graph.constant(norm.input[index]) / scale)
        for node, weight in zip(readers, weights, strict=True):
            graph.replace_constant(node, 1, _as_it_lay(node, weight * scale[:, None]))
    return graph.model, scales


def _places(graph: Graph) -> list[tuple[Any, list[Any]]]:
    """(LayerNormalization over the last axis, the matrix products that read it, and nobody else)."""
    found = []
    for node in graph.model.graph.node:
        if node.op_type != "LayerNormalization" or graph.attribute(node, "axis", -1) != -1:
            continue
        readers = graph.readers(node.output[0])
        reads_only_here = all(
            r.op_type in ("MatMul", "Gemm") and r.input[0] == node.output[0] and graph.is_constant(r.input[1])
            for r in readers
        )
        if readers and reads_only_here and all(map(graph.is_constant, node.input[1:])):
            found.append((node, readers))
    return found


def _rows_first(graph: Graph, node: Any) -> Float:
    """The weight as [inputs, outputs]."""
    weight = graph.constant(node.input[1])
    return weight.T if graph.attribute(node, "transB", 0) else weight


def _as_it_lay(node: Any, weight: Float) -> Float:
    return weight.T if Graph.attribute(node, "transB", 0) else weight
