from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from export.errors import Unavailable, UserError
from export.zoo.keras_h5 import layers


@pytest.mark.parametrize("group", ["", "model_weights"])
@pytest.mark.parametrize("kind", ["S", "O"])
def test_layers_come_in_the_networks_order_and_in_pytorchs_layout(tmp_path: Path, group: str, kind: str) -> None:
    h5py = pytest.importorskip("h5py")
    random = np.random.default_rng(0)
    kernel, dense = random.random((2, 3, 4, 5), np.float32), random.random((5, 7), np.float32)
    biases = random.random(5, np.float32), random.random(7, np.float32)
    with h5py.File(tmp_path / "net.h5", "w") as file:
        root = file.create_group(group) if group else file
        root.attrs["layer_names"] = np.array(["z/conv", "relu", "a_dense"], kind)
        for layer, values in (("z/conv", (kernel, biases[0])), ("relu", ()), ("a_dense", (dense, biases[1]))):
            names = [f"{layer}_{part}:0" for part in "Wb"[: len(values)]]
            root.create_group(layer).attrs["weight_names"] = np.array(names, kind) if names else np.zeros(0)
            for name, value in zip(names, values, strict=True):
                root[layer][name] = value

    found = layers(tmp_path / "net.h5")
    assert list(found) == ["z/conv_W:0", "z/conv_b:0", "a_dense_W:0", "a_dense_b:0"]
    assert found["z/conv_W:0"].shape == (5, 4, 2, 3)
    assert found["z/conv_W:0"][4, 3, 1, 2] == kernel[1, 2, 3, 4]
    np.testing.assert_array_equal(found["a_dense_W:0"], dense.T)
    np.testing.assert_array_equal(found["z/conv_b:0"], biases[0])
    assert all(v.flags.c_contiguous and v.dtype == np.float32 for v in found.values())


@pytest.mark.parametrize("empty", [False, True])
def test_what_holds_no_layers_gets_a_sentence(tmp_path: Path, empty: bool) -> None:
    h5py = pytest.importorskip("h5py")
    (tmp_path / "net.h5").write_bytes(b"not HDF5")
    if empty:
        h5py.File(tmp_path / "net.h5", "w").close()
    with pytest.raises(UserError, match="not a Keras HDF5 weights file"):
        layers(tmp_path / "net.h5")


def test_without_h5py_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(Unavailable, match="needs h5py, which is not installed") as error:
        layers(tmp_path / "net.h5")
    assert error.value.remedy == "pip install 'backbones-deployed[keras]'"
