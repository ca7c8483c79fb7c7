"""A small network of every kind of layer that the zoo has, for tests that need a real file and no download."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import nn

WIDTH = 24


class Tiny(nn.Module):
    """float32 [n, 3, h, w] → features [n, 24]: convolutions with batch norm, one transformer block, a mean."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, WIDTH, 3, 2, 1), nn.BatchNorm2d(WIDTH), nn.SiLU())
        self.depthwise = nn.Sequential(nn.Conv2d(WIDTH, WIDTH, 3, 2, 1, groups=WIDTH), nn.Hardswish())
        self.before = nn.LayerNorm(WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.mlp = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 48), nn.GELU(), nn.Linear(48, WIDTH))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.depthwise(self.stem(x)).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(self.before(tokens)).chunk(3, dim=-1)
        tokens = tokens + (q @ k.transpose(1, 2) / WIDTH**0.5).softmax(-1) @ v
        found: torch.Tensor = (tokens + self.mlp(tokens)).mean(1)
        return found


def tiny() -> nn.Module:
    """The same weights every time, and batch statistics that are not those of a fresh layer."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        net = Tiny()
        norm = net.stem[1]
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.uniform_(-0.2, 0.2)
        norm.running_var.uniform_(0.5, 2)
    return net.eval()


def export(module: nn.Module, side: int, file: Path) -> None:
    """Write a network for inputs of [n, 3, side, side] as ONNX: ``pixel_values`` → ``features``."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter warns that it is the older one
        torch.onnx.export(
            module,
            (torch.rand(2, 3, side, side),),
            str(file),
            dynamo=False,
            opset_version=17,
            input_names=["pixel_values"],
            output_names=["features"],
            dynamic_axes={"pixel_values": {0: "n"}, "features": {0: "n"}},
        )


def small() -> nn.Module:
    """The same for inputs of 32 x 32, which take next to no time."""
    net = tiny()
    net.preprocess = {"height": 32, "width": 32}  # type: ignore[assignment]
    return net


def saved(folder: Path, *models: str) -> dict[str, str]:
    """Checkpoints of functions of this file and of networks of timm, with seeded weights: they count as trained."""
    from export.torchvision_ops import import_timm

    found = {}
    torch.manual_seed(3)
    for model in models:
        ours = model.startswith("nets:")
        net = tiny() if ours else import_timm().create_model(model.partition(".")[0], num_classes=0)
        found[model] = str(folder / f"{model.replace(':', '.')}.pth")
        torch.save(net.state_dict(), found[model])
    return found


def aborting() -> nn.Module:
    """A function that takes its process with it, as a bug in a library would."""
    import os

    os.abort()
