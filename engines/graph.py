"""What an ONNX file says of its graph, read without ``onnx``: operators, inputs, outputs, types of initializers.

It is all that measuring asks of a file, on a workstation and on a board alike. The file is protobuf's wire format
(https://protobuf.dev/programming-guides/encoding), with the field numbers of ``onnx.proto``. It is mapped into memory
and walked from header to header, so that the weights are passed over and never read.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from export.errors import CellError, first_line

FLOAT, FLOAT16, BFLOAT16 = 1, 10, 16
"""``onnx.TensorProto.DataType``."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT = 1, 5, 11, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_KIND, _NODE_ATTRIBUTE, _NODE_DOMAIN = 1, 2, 4, 5, 7
_ATTRIBUTE_NAME, _ATTRIBUTE_INT = 1, 3
_TENSOR_TYPE, _TENSOR_NAME = 2, 8
_VALUE_NAME = 1
_Part = tuple[int, int]
"""Where the bytes of a field lie: from, to."""


@dataclass(frozen=True)
class Node:
    """One operator. ``to``: the type that a Cast casts to; 0 for every other operator."""

    kind: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    to: int = 0


@dataclass(frozen=True)
class Graph:
    """The main graph of a file; what lies inside of an If or a Loop is not in it.

    ``inputs`` and ``outputs`` are names; ``initializers``: name → type.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    initializers: Mapping[str, int]


def read(file: Path) -> Graph:
    """The graph of an ONNX file.

    Raises:
        CellError: the file is damaged, or no ONNX file. OSError: it cannot be opened.
    """
    with file.open("rb") as opened:
        try:
            with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _graph(data)
        except ValueError as error:  # our own below; of an empty file, and of a name that is no UTF-8
            raise CellError(f"{file.name} is not a whole ONNX file.", f"{first_line(error)}.") from error


def _graph(data: mmap.mmap) -> Graph:
    fields = _fields(data, (0, len(data)))
    graphs = [part for number, part in fields if number == _MODEL_GRAPH and isinstance(part, tuple)]
    if not graphs:
        raise ValueError("It holds no graph")
    nodes, inputs, outputs, initializers = [], [], [], {}
    for graph in graphs:  # one; protobuf would merge several
        for number, part in _fields(data, graph):
            if not isinstance(part, tuple):
                continue
            if number == _GRAPH_NODE:
                nodes.append(_node(data, part))
            elif number == _GRAPH_INPUT:
                inputs.append(_text(data, part, _VALUE_NAME))
            elif number == _GRAPH_OUTPUT:
                outputs.append(_text(data, part, _VALUE_NAME))
            elif number == _GRAPH_INITIALIZER:
                initializers[_text(data, part, _TENSOR_NAME)] = _int(data, part, _TENSOR_TYPE)
    return Graph(tuple(nodes), tuple(inputs), tuple(outputs), initializers)


def _node(data: mmap.mmap, node: _Part) -> Node:
    found: dict[int, list[_Part]] = {}
    for number, part in _fields(data, node):
        if isinstance(part, tuple):
            found.setdefault(number, []).append(part)

    def texts(number: int) -> tuple[str, ...]:
        return tuple(data[begin:end].decode() for begin, end in found.get(number, ()))

    kind, domain = (("", *texts(number))[-1] for number in (_NODE_KIND, _NODE_DOMAIN))
    to = 0
    if kind == "Cast":
        named = {_text(data, part, _ATTRIBUTE_NAME): part for part in found.get(_NODE_ATTRIBUTE, ())}
        to = _int(data, named["to"], _ATTRIBUTE_INT) if "to" in named else 0
    return Node(kind, domain, texts(_NODE_INPUT), texts(_NODE_OUTPUT), to)


def _text(data: mmap.mmap, message: _Part, wanted: int) -> str:
    """A field of a message that is text; the last one counts, and none is the empty one."""
    found = b""
    for number, part in _fields(data, message):
        if number == wanted and isinstance(part, tuple):
            found = data[part[0] : part[1]]
    return found.decode()


def _int(data: mmap.mmap, message: _Part, wanted: int) -> int:
    found = 0
    for number, part in _fields(data, message):
        if number == wanted and isinstance(part, int):
            found = part
    return found


def _fields(data: mmap.mmap, message: _Part) -> Iterator[tuple[int, int | _Part]]:
    """The fields of a message in their order: its number, and its value; or where its bytes lie, which are not read."""
    at, end = message
    while at < end:
        tag, at = _varint(data, at, end)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(data, at, end)
            yield number, value
            continue
        begin = at
        if wire == _BYTES:
            size, begin = _varint(data, at, end)
        elif wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError(f"ONNX has no field of wire type {wire}, which is at byte {at:,}")
        at = begin + size
        if at > end or not number:
            raise ValueError(f"It is cut off or damaged at byte {begin:,}")
        if wire == _BYTES:
            yield number, (begin, at)


def _varint(data: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    """A whole number, seven bits a byte, the lowest first; and where the next thing begins."""
    value = 0
    for place in range(10):  # 64 bits are at most ten bytes
        if at + place >= end:
            raise ValueError(f"It is cut off at byte {at:,}")
        byte = data[at + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at + place + 1
    raise ValueError(f"It is damaged at byte {at:,}")
