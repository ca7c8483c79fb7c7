"""An ONNX graph that is read and rewritten: who makes a tensor, who reads it, and which tensors are constants."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.version_converter

from export import external
from export.convert.opset import opset as opset_of
from export.convert.surgery import reads
from export.errors import CellError, first_line

IR_VERSION = {17: 8, 19: 9, 22: 10}
"""The first format version of an opset."""


class Graph:
    """A model and its wiring. Constants are initializers; the wiring is that of the time when it was made."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self._constants = {i.name: i for i in model.graph.initializer}
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        for node in model.graph.node:
            for name in reads(node):
                self._readers.setdefault(name, []).append(node)

    @classmethod
    def copy_of(cls, model: onnx.ModelProto) -> Graph:
        """A graph whose changes leave ``model`` as it is."""
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        return cls(copy)

    def readers(self, tensor: str) -> list[onnx.NodeProto]:
        """The nodes that read a tensor, themselves or in a branch; a model's output has one more reader than these."""
        return self._readers.get(tensor, [])

    def is_constant(self, tensor: str) -> bool:
        return tensor in self._constants

    def constant(self, tensor: str) -> npt.NDArray[Any]:
        """A constant's values."""
        return external.values(self._constants[tensor])

    def replace_constant(self, node: onnx.NodeProto, index: int, values: npt.NDArray[Any]) -> None:
        """Give ``node`` a constant of its own as input ``index``: equal constants are shared among nodes."""
        name = f"{node.name}.{index}"
        self.model.graph.initializer.append(external.constant(self.model, np.asarray(values), name))
        self._constants[name] = self.model.graph.initializer[-1]
        node.input[index] = name

    def drop_unread_constants(self) -> None:
        """Remove constants that no node reads any more."""
        read = {name for node in self.model.graph.node for name in reads(node)}
        kept = [i for i in self.model.graph.initializer if i.name in read]
        del self.model.graph.initializer[:]
        self.model.graph.initializer.extend(kept)

    @staticmethod
    def attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
        """A node's attribute, or the default."""
        return next((onnx.helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


def tensor_types(model: onnx.ModelProto) -> dict[str, int]:
    """Tensor name → ONNX element type, for every tensor whose type can be inferred."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=False)
    infos = [*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output]
    known = {info.name: info.type.tensor_type.elem_type for info in infos}
    return known | {i.name: i.data_type for i in inferred.graph.initializer}


def raised(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """A copy at ``opset``, or at its own where that is later.

    Raises:
        CellError: ONNX's converter cannot raise it.
    """
    own = opset_of(model)
    if own >= opset:
        return Graph.copy_of(model).model
    try:
        converted = onnx.version_converter.convert_version(model, opset)
    except Exception as error:  # its own kinds of error have no common base
        raise CellError(f"The file cannot be raised from opset {own} to {opset}.", first_line(error)) from error
    converted.ir_version = max(converted.ir_version, IR_VERSION[opset])
    return converted


def named(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which every node has a name, and no two the same."""
    copy = Graph.copy_of(model).model
    seen: set[str] = set()
    for number, node in enumerate(copy.graph.node):
        if not node.name or node.name in seen:
            node.name = f"{node.name or node.op_type}.{number}"
        seen.add(node.name)
    return copy
