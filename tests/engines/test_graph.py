"""What is read of an ONNX file, compared with what ``onnx`` reads: drawn graphs, exported networks, damaged files."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper

from engines.graph import Graph, Node, read
from engines.ort.providers import EMPTY
from export.artifact import Artifact
from export.errors import CellError

NAMES = st.text(max_size=300)  # a length of more than 127 takes two bytes
FEW = st.lists(NAMES, max_size=3)
ATTRIBUTES = st.fixed_dictionaries(
    {},
    optional={
        "to": st.sampled_from([TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.INT8]),
        "axis": st.integers(-(2**63), 2**63 - 1),
        "alpha": st.floats(width=32, allow_nan=False),
        "kernel_shape": st.lists(st.integers(-3, 300), min_size=1, max_size=3),
        "mode": st.text(min_size=1, max_size=5),
    },
)


@st.composite
def nodes(draw: st.DrawFn) -> onnx.NodeProto:
    kind = draw(st.one_of(st.sampled_from(["Cast", "Conv", "DequantizeLinear"]), NAMES))
    attributes: dict[str, Any] = draw(ATTRIBUTES)
    if draw(st.booleans()):  # a graph inside, whose nodes are none of the file's own
        inside = helper.make_graph([helper.make_node("Cast", ["in"], ["out"], to=1)], "inside", [], [])
        attributes["body"] = inside
    return helper.make_node(kind, draw(FEW), draw(FEW), draw(NAMES), draw(NAMES), draw(NAMES), **attributes)


@st.composite
def tensors(draw: st.DrawFn) -> TensorProto:
    type_ = draw(st.sampled_from([np.float32, np.float16, np.int8, np.uint8, np.int64, np.float64]))
    tensor = numpy_helper.from_array(np.arange(draw(st.integers(0, 200))).astype(type_), draw(NAMES))
    if draw(st.booleans()):  # not as raw bytes, but one field a number
        values = numpy_helper.to_array(tensor).ravel().tolist()
        tensor = helper.make_tensor(tensor.name, tensor.data_type, tensor.dims, values)
    return tensor


@st.composite
def models(draw: st.DrawFn) -> ModelProto:
    inputs, outputs = (
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in draw(FEW)] for _ in range(2)
    )
    own = draw(st.lists(nodes(), max_size=4))
    graph = helper.make_graph(own, draw(NAMES), inputs, outputs, draw(st.lists(tensors(), max_size=3)), draw(NAMES))
    return helper.make_model(graph, producer_name=draw(NAMES))


def by_onnx(model: ModelProto) -> Graph:
    def to(node: onnx.NodeProto) -> int:
        return next((a.i for a in node.attribute if a.name == "to"), 0) if node.op_type == "Cast" else 0

    graph = model.graph
    return Graph(
        tuple(Node(n.op_type, n.domain, tuple(n.input), tuple(n.output), to(n)) for n in graph.node),
        tuple(value.name for value in graph.input),
        tuple(value.name for value in graph.output),
        {tensor.name: tensor.data_type for tensor in graph.initializer},
    )


def of(content: bytes) -> Graph:
    with TemporaryDirectory() as folder:
        file = Path(folder, "drawn.onnx")
        file.write_bytes(content)
        return read(file)


@settings(max_examples=40)
@given(models())
def test_a_drawn_graph_is_what_onnx_reads(model: ModelProto) -> None:
    assert of(model.SerializeToString()) == by_onnx(model)


@settings(max_examples=15)
@given(models(), st.data())
def test_a_graph_that_comes_in_two_parts_is_one(model: ModelProto, data: st.DataObject) -> None:
    """Protobuf joins what follows to what came before."""
    content = model.SerializeToString() + data.draw(models()).SerializeToString()
    assert of(content) == by_onnx(ModelProto.FromString(content))


@settings(max_examples=30)
@given(models(), st.data())
def test_a_cut_off_file_is_refused(model: ModelProto, data: st.DataObject) -> None:
    whole = model.SerializeToString()
    content = whole[: data.draw(st.integers(0, len(whole)))]
    try:
        wanted = by_onnx(ModelProto.FromString(content))
    except DecodeError:
        with pytest.raises(CellError, match=r"not a whole ONNX file\.\nIt is cut off"):
            of(content)
        return
    if ModelProto.FromString(content).HasField("graph"):
        assert of(content) == wanted
    else:
        with pytest.raises(CellError, match="not a whole ONNX file"):
            of(content)


@settings(max_examples=50)
@given(models(), st.data())
def test_damage_is_a_sentence_or_changes_what_is_read_as_it_does_for_onnx(
    model: ModelProto, data: st.DataObject
) -> None:
    content = bytearray(model.SerializeToString())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    with suppress(CellError, DecodeError):  # onnx looks into parts that are passed over here
        assert of(bytes(content)) == by_onnx(ModelProto.FromString(bytes(content)))


@given(st.binary(max_size=200))
def test_other_bytes_end_in_a_sentence(content: bytes) -> None:
    with suppress(CellError):
        of(content)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "cannot mmap an empty file"),
        (b"<!DOCTYPE html><html>", "wire type 4, which is at byte 1"),
        (b"\x08\x08", "It holds no graph"),
        (b"\x3a\x7f", "cut off or damaged at byte 2"),
        (b"\x80" * 20, "damaged at byte 0"),
        (b"\x3a\x04\x0a\x02\x22\x05", "cut off or damaged at byte 6"),
        (b"\x3a\x05\x0a\x03\x0a\x01\xff", "can't decode byte 0xff"),
    ],
    ids=["empty", "html", "no graph", "long", "endless", "inside", "text"],
)
def test_what_is_wrong_is_named(content: bytes, why: str) -> None:
    with pytest.raises(CellError) as caught:
        of(content)
    assert caught.value.what == "drawn.onnx is not a whole ONNX file."
    assert why in caught.value.why


def test_an_exported_network_is_what_onnx_reads(artifact: Artifact) -> None:
    found = read(artifact.onnx)
    assert found == by_onnx(onnx.load(str(artifact.onnx)))
    assert found.inputs == (artifact.input,)
    assert found.outputs == tuple(output.name for output in artifact.outputs)
    assert {"Conv", "MatMul"} <= {node.kind for node in found.nodes}


def test_the_smallest_file_is_valid() -> None:
    """The one that providers are started with is kept as bytes."""
    onnx.checker.check_model(EMPTY)
    assert of(EMPTY) == Graph((), (), ("nothing",), {"nothing": TensorProto.FLOAT})
