from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from export.errors import UserError
from export.zoo import checkpoint
from export.zoo.graphdef import constants


def network() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Flatten())


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("nested", [False, True])
def test_states_are_read_by_name(tmp_path: Path, suffix: str, nested: bool) -> None:
    state, file = network().state_dict(), tmp_path / f"net{suffix}"
    if suffix == ".safetensors":
        save_file(state, file)
    else:
        torch.save({"state_dict": state} if nested else state, file)
    other = network()
    with torch.no_grad():
        for tensor in other.parameters():
            tensor.zero_()
    placing.by_name(other, checkpoint.read(file), "", "a test")
    for name, tensor in other.state_dict().items():
        torch.testing.assert_close(tensor, state[name])


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {os.environ['EVIL']}",)


def test_a_pickle_that_wants_to_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = tmp_path / "ran"
    monkeypatch.setenv("EVIL", str(mark))
    torch.save({"state_dict": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(UserError, match="would run code"):
        checkpoint.read(tmp_path / "evil.pth")
    assert not mark.exists()


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
def test_a_truncated_checkpoint_gets_a_sentence(tmp_path: Path, suffix: str, keep: float) -> None:
    file = tmp_path / f"net{suffix}"
    state = network().state_dict()
    save_file(state, file) if suffix == ".safetensors" else torch.save(state, file)
    raw = file.read_bytes()
    file.write_bytes(raw[: int(keep if keep > 1 else keep * len(raw))])
    with pytest.raises(UserError, match="damaged or truncated"):
        checkpoint.read(file)


def test_a_checkpoint_of_another_architecture_is_told_apart() -> None:
    other = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8))
    with pytest.raises(UserError, match="does not fit") as error:
        checkpoint.by_name(network(), other.state_dict(), "", "a test")
    assert "0.weight" in error.value.why
    with pytest.raises(UserError, match="does not fit"):
        checkpoint.in_order(network(), other.state_dict(), "a test")
    with pytest.raises(UserError, match="does not fit"):
        checkpoint.in_order(network(), dict(list(network().state_dict().items())[:2]), "a test")


def test_in_order_needs_no_names() -> None:
    state = {f"x{i}": v + 1 for i, v in enumerate(v for k, v in network().state_dict().items() if "num_" not in k)}
    net = network()
    checkpoint.in_order(net, state, "a test")
    torch.testing.assert_close(next(iter(net.parameters())).detach(), state["x0"])


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
