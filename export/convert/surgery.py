"""Rewrites a foreign graph: functions inlined, constants in one place, cut at its feature, its batch axis freed.

What a node reads is what its subgraphs read too: If, Loop and Scan use tensors of the graph around them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx.inliner
from onnx import TensorProto, helper, numpy_helper

from export import external
from export.errors import CellError, UserError, first_line
from export.spec import PreprocessSpec

IR_VERSION = 8
"""The least format version that is written: from 4 on an initializer need not be an input."""
READABLE = 10
"""The newest that every engine here reads; a newer one is lowered to what the file's operators need."""
LARGEST = 1 << 28
"""Numbers in a sparse tensor that is made dense."""


def raise_format(model: onnx.ModelProto) -> None:
    """Give an old file the format version that is written: it says the same there."""
    model.ir_version = max(model.ir_version, IR_VERSION)


def plain(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network without functions, sparse initializers and Constant nodes in its main graph.

    Raises:
        CellError: its functions cannot be inlined, or a sparse tensor is not valid.
    """
    if model.functions:
        try:
            model = onnx.inliner.inline_local_functions(model)
        except Exception as error:  # its own kinds of error have no common base
            raise CellError("The ONNX file's functions cannot be inlined.", first_line(error)) from error
    for graph in external.graphs(model):
        graph.initializer.extend(map(_dense, graph.sparse_initializer))
        del graph.sparse_initializer[:]
    graph = model.graph
    kept = []
    for node in graph.node:
        value = next((a.t for a in node.attribute if a.name == "value" and a.HasField("t")), None)
        if node.op_type == "Constant" and value is not None:
            graph.initializer.append(value)
            graph.initializer[-1].name = node.output[0]
        else:
            kept.append(node)
    _replace(graph.node, kept)
    if model.ir_version > READABLE:
        model.ir_version = max(READABLE, helper.find_min_ir_version_for(list(model.opset_import), True))
    return model


def _dense(sparse: onnx.SparseTensorProto) -> onnx.TensorProto:
    values, indices = external.values(sparse.values), external.values(sparse.indices)
    dims = tuple(sparse.dims)
    try:
        if np.prod(dims, dtype=float) > LARGEST:
            raise ValueError(f"it would hold {np.prod(dims, dtype=float):.3g} numbers")
        whole = np.zeros(dims, values.dtype)
        if indices.ndim == 1:
            whole.reshape(-1)[indices] = values
        else:
            whole[tuple(indices.T)] = values
    except (ValueError, IndexError) as error:
        raise CellError(f"The sparse tensor {sparse.values.name} is not valid.", first_line(error)) from error
    return numpy_helper.from_array(whole, sparse.values.name)


def _replace(repeated: Any, kept: list[Any]) -> None:
    """Put ``kept``, some of its own messages among them, in the place of all of a repeated field."""
    copies = [type(message)() for message in kept]
    for copy, message in zip(copies, kept, strict=True):
        copy.CopyFrom(message)
    del repeated[:]
    repeated.extend(copies)


# -- the cut -----------------------------------------------------------------------------------------------------------


def cut(model: onnx.ModelProto, backbone: str, at: str) -> str:
    """Make one tensor the only output, of no declared type, and drop what is not needed for it; its name.

    Args:
        at: an operator type or a tensor's name; empty for the file's first output.

    Raises:
        UserError: no tensor, or several, are meant.
    """
    graph = model.graph
    name = _tensor(graph, backbone, at) if at else graph.output[0].name
    needed, kept = {name}, []
    for node in reversed(graph.node):
        if needed.intersection(filter(None, node.output)):
            kept.append(node)
            needed |= reads(node)
    _replace(graph.node, kept[::-1])
    constants = [i for i in graph.initializer if i.name in needed]
    fixed = {i.name for i in constants}
    _replace(graph.input, [i for i in graph.input if i.name in needed and i.name not in fixed])
    _replace(graph.initializer, constants)
    del graph.output[:], graph.value_info[:], graph.quantization_annotation[:]
    graph.output.append(onnx.ValueInfoProto(name=name))
    return name


def reads(node: onnx.NodeProto) -> set[str]:
    """The names that a node reads, those that its subgraphs read included, whoever makes them."""
    found = set(filter(None, node.input))
    for graph in external.subgraphs(node):
        found |= {output.name for output in graph.output}
        for inner in graph.node:
            found |= reads(inner)
    return found


def _tensor(graph: onnx.GraphProto, backbone: str, at: str) -> str:
    nodes = [n for n in graph.node if n.op_type == at or at in n.output]
    if len(nodes) != 1:
        raise UserError(
            f"{backbone!r} cannot be cut at {at!r}.",
            f"{len(nodes)} nodes have that type or output.",
            "name one tensor under 'cut'",
        )
    return at if at in nodes[0].output else str(nodes[0].output[0])


# -- names and types ---------------------------------------------------------------------------------------------------


def names(model: onnx.ModelProto) -> set[str]:
    """Every tensor's name, in subgraphs too."""
    found: set[str] = set()
    for graph in external.graphs(model):
        found |= {value.name for value in (*graph.input, *graph.output, *graph.initializer)}
        for node in graph.node:
            found |= {*node.input, *node.output}
    return found


def fresh(model: onnx.ModelProto, wanted: str) -> str:
    """A name that no tensor has: ``wanted``, or with a number behind it."""
    taken, number, name = names(model), 0, wanted
    while name in taken:
        number += 1
        name = f"{wanted}.{number}"
    return name


def renamed(graph: onnx.GraphProto, old: str, new: str) -> None:
    """Call a tensor otherwise, wherever it is made or read; the graph's own inputs keep their names."""
    for value in (*graph.output, *graph.initializer):
        if value.name == old:
            value.name = new
    for node in graph.node:
        for ends in (node.input, node.output):
            for i, end in enumerate(ends):
                if end == old:
                    ends[i] = new
        for inner in external.subgraphs(node):
            renamed(inner, old, new)


def with_float_input(model: onnx.ModelProto, spec: PreprocessSpec) -> str:
    """Make the input float32 [batch, …] of the preprocessing's size; what was changed, for a reader, or nothing."""
    graph = model.graph
    value = graph.input[0]
    number = value.type.tensor_type.elem_type
    side = [spec.height, spec.width]
    shape = [*side, 3] if spec.layout == "NHWC" else [3, *side]
    value.CopyFrom(helper.make_tensor_value_info(value.name, TensorProto.FLOAT, ["batch", *shape]))
    if number == TensorProto.FLOAT:
        return ""
    inner = fresh(model, f"{value.name}.cast")
    renamed(graph, value.name, inner)
    cast = helper.make_node("Cast", [value.name], [inner], inner, to=number)
    graph.node.insert(0, cast)
    kind = TensorProto.DataType.Name(number).lower()
    return f"its input is {kind}: a Cast from float32 stands before it"


def with_features(model: onnx.ModelProto, kind: str, features: str) -> str:
    """Make the output float32 [batch, d], called ``features``; what was changed, for a reader, or nothing.

    Args:
        kind: the output's type in ONNX Runtime's words.
    """
    graph = model.graph
    said = ""
    if features in names(model):
        other = fresh(model, "image" if graph.input[0].name == features else f"{features}.raw")
        renamed(graph, features, other)
        if graph.input[0].name == features:
            graph.input[0].name = other
    name = graph.output[0].name
    if kind != "tensor(float)":
        wide = fresh(model, f"{name}.float32")
        graph.node.append(helper.make_node("Cast", [name], [wide], wide, to=TensorProto.FLOAT))
        said = f"its output is {kind[7:-1]}: a Cast to float32 stands behind it"
        name = wide
    graph.node.append(helper.make_node("Flatten", [name], [features], fresh(model, "flatten"), axis=1))
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(features, TensorProto.FLOAT, ["batch", None]))
    return said


# -- the batch axis ----------------------------------------------------------------------------------------------------


def reshapes_freed(model: onnx.ModelProto, batch: int) -> onnx.ModelProto | None:
    """A copy in which no Reshape has the batch written into its constant shape; None where none has.

    A guess, to be proven by comparing outputs: that a leading number is the batch, or a multiple of it, is not written
    anywhere.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    constants = {i.name: i for i in copy.graph.initializer}
    changed = False
    for node in copy.graph.node:
        if node.op_type != "Reshape" or node.input[1] not in constants or node.input[0] in constants:
            continue
        shape = external.values(constants[node.input[1]]).astype(np.int64).copy()
        if shape.size < 1 or any(a.name == "allowzero" and a.i for a in node.attribute):
            continue
        if (shape < 0).any():
            if shape[0] != batch:
                continue
            shape[0] = 0  # as many as what comes in has
        elif shape[0] > 0:
            shape[0] = -1  # as many as fit
        else:
            continue
        node.input[1] = fresh(copy, f"{node.input[1]}.freed")
        copy.graph.initializer.append(numpy_helper.from_array(shape, node.input[1]))
        changed = True
    return copy if changed else None


def constants(model: onnx.ModelProto) -> Mapping[str, Any]:
    """The values of the main graph's small constants, by name."""
    return {i.name: external.values(i) for i in model.graph.initializer if np.prod(i.dims, dtype=float) < 64}
