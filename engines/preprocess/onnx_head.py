"""The value part of preprocessing as nodes of the network's own file, for sessions that take uint8 on the device.

A host then copies a quarter of the bytes and spends no time on normalising. The same formula as
``engines.preprocess.normalize``, from the same constants.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from engines.preprocess.normalize import PIXELS, scale_and_shift
from export.errors import CellError
from export.spec import PreprocessSpec

if TYPE_CHECKING:
    import onnx


def with_pixels_input(model: onnx.ModelProto, spec: PreprocessSpec, input_name: str) -> onnx.ModelProto:
    """The same network with a head that normalises in front of it: a new model, of the same opset.

    Args:
        model: takes ``input_name``, float32 in ``spec.layout``, values as ``spec`` makes them, with a free batch axis.

    Returns:
        A model that takes ``pixels`` in its place: uint8 RGB [n, height, width, 3]. The other names are kept, but for
        a tensor that was called ``pixels`` already.

    Raises:
        CellError: the model has no such input, or it is not float32.
    """
    from onnx import ModelProto, TensorProto, helper, numpy_helper

    headed = ModelProto()
    headed.CopyFrom(model)
    graph = headed.graph
    at = next((i for i, given in enumerate(graph.input) if given.name == input_name), None)
    if at is None:
        raise CellError(
            f"The file has no input {input_name!r}.", f"It has {', '.join(i.name for i in graph.input) or 'none'}."
        )
    if graph.input[at].type.tensor_type.elem_type != TensorProto.FLOAT:
        raise CellError(f"The file's input {input_name!r} is not float32.")
    taken = _names(graph)
    if PIXELS in taken:
        inner = _free("network_pixels", taken)
        _rename(graph, PIXELS, inner)
        taken.add(inner)
        input_name = inner if input_name == PIXELS else input_name

    value = graph.input[at]
    batch = value.type.tensor_type.shape.dim[0]
    pixels = helper.make_tensor_value_info(PIXELS, TensorProto.UINT8, [None, spec.height, spec.width, 3])
    pixels.type.tensor_type.shape.dim[0].CopyFrom(batch)
    graph.value_info.add().CopyFrom(value)
    value.CopyFrom(pixels)

    nodes: list[onnx.NodeProto] = []
    latest = PIXELS

    def add(operator: str, *constants: str, **attributes: Any) -> None:
        nonlocal latest
        name = _free(f"{PIXELS}_{operator.lower()}", taken)
        nodes.append(helper.make_node(operator, [latest, *constants], [name], name=name, **attributes))
        latest = name

    def constant(name: str, values: np.ndarray[tuple[int, ...], np.dtype[np.float32 | np.int64]]) -> str:
        name = _free(f"{PIXELS}_{name}", taken)
        graph.initializer.append(numpy_helper.from_array(values, name))
        return name

    scale, shift = scale_and_shift(spec)
    add("Cast", to=TensorProto.FLOAT)  # first: TensorRT computes nothing on uint8
    if spec.channel_order == "BGR":
        add("Gather", constant("order", np.array([2, 1, 0], np.int64)), axis=3)
    add("Mul", constant("scale", scale))
    add("Add", constant("shift", shift))
    if spec.layout == "NCHW":
        add("Transpose", perm=[0, 3, 1, 2])
    nodes[-1].output[0] = input_name
    kept = list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes + kept)
    return headed


def _free(name: str, taken: set[str]) -> str:
    """``name``, or the first of its kind that nothing bears; taken from then on."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _subgraphs(graph: onnx.GraphProto) -> list[onnx.GraphProto]:
    found = [graph]
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.ByteSize():
                    found += _subgraphs(inner)
    return found


def _names(graph: onnx.GraphProto) -> set[str]:
    """Everything that bears a name, in the graph and in those within it: tensors and nodes."""
    found: set[str] = set()
    for part in _subgraphs(graph):
        for node in part.node:
            found.update((node.name, *node.input, *node.output))
        found.update(v.name for values in (part.input, part.output, part.value_info, part.initializer) for v in values)
        found.update(sparse.values.name for sparse in part.sparse_initializer)
    return found


def _rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    for part in _subgraphs(graph):
        for node in part.node:
            for names in (node.input, node.output):
                for i, name in enumerate(names):
                    if name == old:
                        names[i] = new
        for values in (part.input, part.value_info, part.initializer, part.output):
            for value in values:
                if value.name == old:
                    value.name = new
        for note in part.quantization_annotation:
            note.tensor_name = new if note.tensor_name == old else note.tensor_name
