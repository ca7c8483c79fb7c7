"""Reads the trained tensors of an ONNX file, under the names that they had in the module it was exported from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from export import external
from export.zoo import onnx_file

_ANONYMOUS = "onnx::"
"""How PyTorch's exporter begins the names of what it folded: for one, every Linear's weight, which it transposes."""


def named(path: Path) -> dict[str, npt.NDArray[np.float32]]:
    """Every float32 initializer of the file, by name.

    A weight that the exporter transposed and renamed is known by the bias that is added to its product: beside
    ``x.bias`` it is returned as ``x.weight``, [out, in] as PyTorch has it. Other renamed tensors keep their names.

    Raises:
        UserError: the file is no ONNX file, or its external data is missing or outside its folder.
    """
    import onnx

    graph: Any = onnx_file.read(path).graph
    floats = [t for t in graph.initializer if t.data_type == onnx.TensorProto.FLOAT]
    found = {t.name: external.values(t) for t in floats}
    bias_of = {term: name for node in graph.node if node.op_type == "Add" for term, name in _terms(node.input, found)}
    for node in graph.node:
        weight = node.input[-1] if node.op_type == "MatMul" else ""
        bias = bias_of.get(node.output[0], "")
        if weight.startswith(_ANONYMOUS) and weight in found and bias.endswith(".bias"):
            found[f"{bias.removesuffix('.bias')}.weight"] = found.pop(weight).T
    return found


def _terms(inputs: Any, tensors: dict[str, npt.NDArray[np.float32]]) -> list[tuple[str, str]]:
    """(computed term, constant term) of an addition, if it has one of each."""
    left, right = inputs
    return [(a, b) for a, b in ((left, right), (right, left)) if b in tensors and a not in tensors]
