"""Shape arithmetic that tracing leaves behind, folded into constants, with most of the weights set aside.

``onnxslim`` serializes a model again and again, and infers its shapes by onnx, which serializes it too: with 330 MB of
weights that takes ten seconds, and without them half of one.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from export import external

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
        slim: onnx.ModelProto = onnxslim.slim(external.without(model, aside))
    external.given_back(slim, aside)
    return slim


def bare(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of which the weights of matrix products, and all that lie in another file, are inputs without values."""
    return external.without(model, _aside(model))


def _aside(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """The weights that are set aside, by name.

    Of those in the file, what only a MatMul reads: factors behind a convolution or a Gemm are folded into its weights.
    """
    products, others = set[str](), set[str]()
    for node in external.nodes(model):
        (products if node.op_type == "MatMul" else others).update(node.input)
    only = products - others
    return {
        t.name: t
        for t in model.graph.initializer
        if external.is_external(t) or (t.name in only and len(t.raw_data) > LARGEST)
    }
