"""Slimming with the weights set aside: the same file as with them, and a smaller copy of the graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxslim
import pytest
import torch
from nets import export
from torch import nn

from export.convert.slimming import bare, slimmed


class Wide(nn.Module):
    """float32 [n, 3, 32, 32] → [n, 256]: a scaled convolution, and products with weights of 256 KiB."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 256, 8, 8)
        self.scale = nn.Parameter(torch.rand(1, 256, 1, 1))
        self.blocks = nn.Sequential(nn.LayerNorm(256), nn.Linear(256, 256), nn.GELU(), nn.Linear(256, 256))
        self.end = nn.Linear(256, 256)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = (self.stem(x) * self.scale).flatten(2).transpose(1, 2)
        found: torch.Tensor = self.end((tokens + self.blocks(tokens)).mean(1))
        return found


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> onnx.ModelProto:
    torch.manual_seed(1)
    file = tmp_path_factory.mktemp("traced") / "model.onnx"
    export(Wide().eval(), 32, file)
    return onnx.load(file)


def test_the_file_is_that_of_slimming_with_the_weights(traced: onnx.ModelProto) -> None:
    before = traced.SerializeToString(deterministic=True)
    found = slimmed(traced)
    assert traced.SerializeToString(deterministic=True) == before
    whole = onnxslim.slim(onnx.ModelProto.FromString(before))
    assert found.SerializeToString(deterministic=True) == whole.SerializeToString(deterministic=True)
    assert len(found.graph.node) < len(traced.graph.node)
    assert "Mul" not in {node.op_type for node in found.graph.node if node.input[0].startswith("/stem")}


def test_what_is_set_aside_is_what_matrix_products_alone_read(traced: onnx.ModelProto) -> None:
    copy = bare(traced)
    aside = {i.name for i in traced.graph.initializer} - {i.name for i in copy.graph.initializer}
    assert len(aside) == 2
    assert {value.name for value in copy.graph.input} == {"pixel_values", *aside}
    assert len(copy.SerializeToString()) < len(traced.SerializeToString()) - 2 * 256 * 256 * 4 + 1000


def test_tensors_in_another_file_are_not_looked_for(traced: onnx.ModelProto, tmp_path: Path) -> None:
    file = tmp_path / "apart.onnx"
    onnx.save(onnx.ModelProto.FromString(traced.SerializeToString()), file, save_as_external_data=True, location="data")
    apart = onnx.load(file, load_external_data=False)
    for tensor in [i for i in apart.graph.initializer if i.name == "stem.weight"]:  # it is folded with a factor
        apart.graph.initializer.remove(tensor)
    apart.graph.initializer.extend(i for i in traced.graph.initializer if i.name == "stem.weight")
    found = slimmed(apart)
    assert {i.name for i in found.graph.initializer if i.external_data}
    onnx.save(found, tmp_path / "slim.onnx")
    import onnxruntime

    values = np.random.default_rng(0).random((3, 3, 32, 32), np.float32)
    one, other = (
        onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"pixel_values": values})[0]
        for model in (str(tmp_path / "slim.onnx"), traced.SerializeToString())
    )
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
