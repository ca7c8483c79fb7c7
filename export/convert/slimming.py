"""Shape arithmetic that tracing leaves behind, folded into constants, with most of the weights set aside.

``onnxslim`` serializes a model again and again, and infers its shapes by onnx, which serializes it too: with 330 MB of
weights that takes ten seconds, and without them half of one.
"""

from __future__ import annotations

import warnings
from collections.abc import Container
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx

LARGEST = 1 << 16
"""Bytes of a tensor that stays a constant: those of shape arithmetic are smaller, and so is a scale or an epsilon."""


def slimmed(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network with fewer nodes. ``model`` is left as it is."""
    import onnxslim

    aside = _aside(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        slim: onnx.ModelProto = onnxslim.slim(bare(model))
    place = {name: n for n, name in enumerate(dict.fromkeys(r for node in slim.graph.node for r in _reads(node)))}
    _remove(slim.graph.input, aside)
    slim.graph.initializer.extend(tensor for name, tensor in aside.items() if name in place)
    slim.graph.initializer.sort(key=lambda tensor: place.get(tensor.name, len(place)))  # as onnxslim leaves them
    return slim


def bare(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of which the weights of matrix products, and all that lie in another file, are inputs without values."""
    from onnx import helper

    aside, copy = _aside(model), type(model)()
    copy.CopyFrom(model)
    _remove(copy.graph.initializer, aside)
    copy.graph.input.extend(helper.make_tensor_value_info(t.name, t.data_type, list(t.dims)) for t in aside.values())
    return copy


def _aside(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """The weights that are set aside, by name.

    Of those in the file, what only a MatMul reads: factors behind a convolution or a Gemm are folded into its weights.
    """
    products, others = set[str](), set[str]()
    for node in model.graph.node:
        (products if node.op_type == "MatMul" else others).update(_reads(node))
    only = products - others
    return {t.name: t for t in model.graph.initializer if t.external_data or (t.name in only and _large(t))}


def _large(tensor: onnx.TensorProto) -> bool:
    return len(tensor.raw_data) > LARGEST


def _remove(repeated: Any, names: Container[str]) -> None:
    for index in reversed(range(len(repeated))):
        if repeated[index].name in names:
            del repeated[index]


def _reads(node: onnx.NodeProto) -> list[str]:
    """Names that a node reads, inside its branches too."""
    inside = [name for a in node.attribute for g in (a.g, *a.graphs) for one in g.node for name in _reads(one)]
    return [*node.input, *inside]
