"""Reads the constants of a frozen TensorFlow 1 graph without TensorFlow.

A GraphDef is a protocol buffer; of its wire format this reads what a constant needs: nodes (1) with name (1), op (2)
and attributes (5); of the attribute ``value`` its tensor (8) with dtype (1), shape (2) and content (4, or 5 for
floats). Format: protobuf's "Encoding" page, and tensorflow/core/framework/{graph,node_def,attr_value,tensor}.proto.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from export.errors import UserError

Value = int | bytes
_FLOAT = 1


def constants(graph: bytes) -> dict[str, npt.NDArray[np.float32]]:
    """Every float constant of the graph, by node name.

    Raises:
        UserError: the bytes are no GraphDef.
    """
    found = {}
    try:
        for number, node in _fields(graph):
            if number != 1 or not isinstance(node, bytes):
                continue
            parts = list(_fields(node))
            if (2, b"Const") not in parts:
                continue
            name = next(v for n, v in parts if n == 1)
            tensor = _tensor([v for n, v in parts if n == 5 and isinstance(v, bytes)])
            if tensor is not None and isinstance(name, bytes):
                found[name.decode()] = tensor
    except (IndexError, ValueError, StopIteration) as error:
        raise UserError("The file is not a TensorFlow graph.", str(error)) from error
    return found


def _tensor(attributes: list[bytes]) -> npt.NDArray[np.float32] | None:
    for attribute in attributes:
        entry = dict(_fields(attribute))
        if entry.get(1) != b"value":
            continue
        value = entry[2]
        assert isinstance(value, bytes)
        body = dict(_fields(value)).get(8)
        if not isinstance(body, bytes):
            return None
        parts = list(_fields(body))
        if (1, _FLOAT) not in parts:
            return None
        shape = [
            dict(_fields(dim)).get(1, 0)
            for number, dims in parts
            if number == 2 and isinstance(dims, bytes)
            for inner, dim in _fields(dims)
            if inner == 2 and isinstance(dim, bytes)
        ]
        content = b"".join(v for n, v in parts if n in (4, 5) and isinstance(v, bytes))
        values = np.frombuffer(content, "<f4")
        sides = [int(side) for side in shape]
        # one value may stand for a whole tensor
        return np.full(sides, values[0], np.float32) if values.size == 1 else values.reshape(sides)
    return None


def _fields(data: bytes) -> Iterator[tuple[int, Value]]:
    """(field number, value) of one message: varints as int, everything else as bytes."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        if kind == 2:
            size, at = _varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind} at byte {at}")
        if at + size > len(data):
            raise ValueError("truncated message")
        yield tag >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
