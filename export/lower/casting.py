"""fp32 file → fp16 or bf16 file: weights and tensors in the narrow type, chosen nodes in fp32, casts between them.

And back, to judge it: ``rounded`` is an fp32 file that rounds wherever the narrow one would. ONNX Runtime's processor
kernels would not show what the narrow file does: they compute an fp16 file in fp32 and skip the rounding in between
(300² in fp16 is infinite; there it came out as 90,000), and they have no bf16.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export import external
from export.convert.opset import opset
from export.errors import CellError
from export.lower.graph import Graph, raised, tensor_types
from export.spec import Precision

NARROW: dict[Precision, int] = {Precision.FP16: TensorProto.FLOAT16, Precision.BF16: TensorProto.BFLOAT16}
NUMPY: dict[int, np.dtype[Any]] = {
    TensorProto.FLOAT16: np.dtype(np.float16),
    TensorProto.BFLOAT16: np.dtype(ml_dtypes.bfloat16),
}
WORDS: dict[int, str] = {TensorProto.FLOAT16: "tensor(float16)", TensorProto.BFLOAT16: "tensor(bfloat16)"}
OPSET = {Precision.FP16: 17, Precision.BF16: 22}
"""The first opset at which convolutions and pooling take bf16 is 22."""
REFUSED: dict[int, frozenset[str]] = {
    TensorProto.FLOAT16: frozenset(),
    TensorProto.BFLOAT16: frozenset({"HardSwish", "ConvTranspose"}),
}
"""Operators that ONNX allows in the narrow type and TensorRT does not take; they stay in fp32."""
MOVES = frozenset(
    {"Concat", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity", "MaxPool", "Pad", "Relu"}
    | {"Reshape", "Slice", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze", "Where"}
)
"""Operators that make no new values, so that nothing is rounded behind them."""


def cast(model: onnx.ModelProto, precision: Precision, keep: Collection[str] = ()) -> onnx.ModelProto:
    """The same network in fp16 or bf16.

    Inputs and outputs of the file stay float32.

    Args:
        keep: names of nodes that stay fp32.

    Raises:
        CellError: the file has branches or loops, or cannot be raised to the opset that the precision needs.
    """
    caster = _Caster(raised(model, OPSET[precision]), NARROW[precision], keep)
    return caster.run()


def narrowable(model: onnx.ModelProto, precision: Precision) -> list[onnx.NodeProto]:
    """The nodes of an fp32 file that may be narrow: they handle float32, and their operator takes the narrow type."""
    caster = _Caster(raised(model, OPSET[precision]), NARROW[precision], ())
    names = {n.name for n in caster.model.graph.node if caster.is_narrow(n)}
    return [n for n in model.graph.node if n.name in names]


class _Caster:
    def __init__(self, model: onnx.ModelProto, narrow: int, keep: Collection[str]) -> None:
        if any(
            a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
            for n in model.graph.node
            for a in n.attribute
        ):
            raise CellError("A file with branches or loops cannot be cast.", "If, Loop and Scan are not supported.")
        self.model = model
        self.graph = Graph(model)
        self.narrow, self.keep = narrow, frozenset(keep)
        self.types = tensor_types(model)
        self.opset = opset(model)
        self.outputs = {o.name for o in model.graph.output}
        self.now: dict[str, int] = {}  # float tensor → the type that it has in the file being written
        self.copies: dict[tuple[str, int], str] = {}
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def is_narrow(self, node: onnx.NodeProto) -> bool:
        """Whether a node computes in the narrow type."""
        if node.name in self.keep or node.op_type in REFUSED[self.narrow]:
            return False
        if not any(self.types.get(t) == TensorProto.FLOAT for t in node.output):
            return False
        try:
            schema = onnx.defs.get_schema(node.op_type, self.opset, node.domain)
        except onnx.defs.SchemaError:
            return False
        allowed = {c.type_param_str: c.allowed_type_strs for c in schema.type_constraints}
        word = WORDS[self.narrow]
        sides = ((node.input, schema.inputs), (node.output, schema.outputs))
        for names, formal in sides:
            for index, name in enumerate(names):
                if self.types.get(name) != TensorProto.FLOAT or self._always_wide(node, index, names is node.input):
                    continue
                parameter = formal[min(index, len(formal) - 1)].type_str
                if word not in allowed.get(parameter, [parameter]):
                    return False
        return True

    @staticmethod
    def _always_wide(node: onnx.NodeProto, index: int, is_input: bool) -> bool:
        """Resize's scales are float32 for any type of its data."""
        return node.op_type == "Resize" and is_input and index > 0

    def run(self) -> onnx.ModelProto:
        graph = self.model.graph
        for tensor in [*graph.input, *graph.initializer]:
            self.now[tensor.name] = TensorProto.FLOAT
        for node in list(graph.node):
            self._write(node, self.is_narrow(node))
        del graph.node[:]
        graph.node.extend(self.nodes)
        del graph.value_info[:]
        graph.initializer.extend(self.constants)
        self.graph.drop_unread_constants()
        external.check(self.model)
        return self.model

    def _write(self, node: onnx.NodeProto, narrow: bool) -> None:
        wanted = self.narrow if narrow else TensorProto.FLOAT
        for index, name in enumerate(node.input):
            if self.types.get(name) == TensorProto.FLOAT:
                wide = self._always_wide(node, index, True)
                node.input[index] = self._as(name, TensorProto.FLOAT if wide else wanted)
        if narrow:
            self._narrow_attributes(node)
        self.nodes.append(node)
        for index, name in enumerate(node.output):
            if self.types.get(name) != TensorProto.FLOAT:
                continue
            self.now[name] = wanted
            if name in self.outputs and narrow:  # the file's own outputs stay float32
                node.output[index] = f"{name}.narrow"
                self.nodes.append(
                    helper.make_node("Cast", [node.output[index]], [name], f"{name}.wide", to=TensorProto.FLOAT)
                )
                self.now[name] = TensorProto.FLOAT

    def _as(self, name: str, wanted: int) -> str:
        if self.now.get(name, TensorProto.FLOAT) == wanted:
            return name
        if (name, wanted) not in self.copies:
            copy = f"{name}.{'narrow' if wanted == self.narrow else 'wide'}.cast"
            self.copies[name, wanted] = copy
            if self.graph.is_constant(name):
                values = narrowed(self.graph.constant(name), NUMPY[wanted])
                self.constants.append(external.constant(self.model, values, copy))
            else:
                self.nodes.append(helper.make_node("Cast", [name], [copy], copy, to=wanted))
        return self.copies[name, wanted]

    def _narrow_attributes(self, node: onnx.NodeProto) -> None:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to":
                attribute.i = self.narrow
            elif attribute.type == onnx.AttributeProto.TENSOR and attribute.t.data_type == TensorProto.FLOAT:
                values = narrowed(numpy_helper.to_array(attribute.t), NUMPY[self.narrow])
                attribute.t.CopyFrom(numpy_helper.from_array(values))
        if node.op_type == "ConstantOfShape" and not node.attribute:
            zero = numpy_helper.from_array(np.zeros(1, NUMPY[self.narrow]))
            node.attribute.append(helper.make_attribute("value", zero))


def narrowed(values: np.ndarray[Any, Any], to: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Rounded to the narrow type; what is finite stays finite (a mask of −3e38 becomes the type's least value)."""
    largest = float(ml_dtypes.finfo(to).max)  # type: ignore[no-untyped-call]
    return np.where(np.isfinite(values), np.clip(values, -largest, largest), values).astype(to)


def rounded(model: onnx.ModelProto) -> onnx.ModelProto:
    """An fp32 file that computes what a file made by :func:`cast` computes, with sums in fp32, on any runtime.

    Every tensor keeps its name; where it was narrow it is rounded to the narrow type and widened again.
    """
    copy = Graph.copy_of(model).model
    types = tensor_types(copy)
    nodes: list[onnx.NodeProto] = []
    for initializer in copy.graph.initializer:
        if initializer.data_type in NUMPY:
            wide = external.values(initializer).astype(np.float32)
            initializer.CopyFrom(external.constant(copy, wide, initializer.name))
    for node in copy.graph.node:
        to = None
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i in NUMPY:
                to, attribute.i = attribute.i, TensorProto.FLOAT
            elif attribute.type == onnx.AttributeProto.TENSOR and attribute.t.data_type in NUMPY:
                attribute.t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(attribute.t).astype(np.float32)))
        nodes.append(node)
        for index, name in enumerate(node.output):
            narrow = types.get(name) if to is None else to
            if narrow in NUMPY and node.op_type not in MOVES:
                node.output[index] = f"{name}.exact"
                nodes.append(
                    helper.make_node("Cast", [f"{name}.exact"], [f"{name}.rounded"], f"{name}.rounds", to=narrow)
                )
                nodes.append(
                    helper.make_node("Cast", [f"{name}.rounded"], [name], f"{name}.widens", to=TensorProto.FLOAT)
                )
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    del copy.graph.value_info[:]
    return copy
