from __future__ import annotations

import numpy as np
import pytest

from export.errors import UserError
from export.zoo.graphdef import constants


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def const_node(name: str, values: np.ndarray, dtype: int = 1) -> bytes:
    shape = b"".join(field(2, field(1, side)) for side in values.shape)
    tensor = field(1, dtype) + field(2, shape) + field(4, values.tobytes())
    attribute = field(1, b"value") + field(2, field(8, tensor))
    return field(1, field(1, name.encode()) + field(2, b"Const") + field(5, attribute))


def test_constants_of_a_graph() -> None:
    a, b = np.arange(6, dtype=np.float32).reshape(2, 3), np.array([[7.5]], np.float32)
    other = field(1, field(1, b"conv") + field(2, b"Conv2D") + field(3, b"a"))
    integers = const_node("shape", np.arange(2, dtype=np.int32), dtype=3)
    found = constants(const_node("a", a) + other + integers + const_node("b", b))
    assert sorted(found) == ["a", "b"]
    np.testing.assert_array_equal(found["a"], a)
    np.testing.assert_array_equal(found["b"], b)


@pytest.mark.parametrize("raw", [b"\xff\xff\xff", b"\x0a\x7fabc", b"\x0b"])
def test_what_is_no_graph_gets_a_sentence(raw: bytes) -> None:
    with pytest.raises(UserError, match="not a TensorFlow graph"):
        constants(raw)
