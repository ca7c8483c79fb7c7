"""A small real network, which everything is injected into: convolutions with batch norm, attention, layer norm."""

from __future__ import annotations

import torch
from torch import nn

WIDTH = 24
SIDE = 32
NAME = "bench.sabotage.network:small"


class Small(nn.Module):
    """float32 [n, 3, 32, 32] → features [n, 24]."""

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


def small() -> nn.Module:
    """The same weights every time, and batch statistics that are not those of a fresh layer."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        net = Small()
        norm = net.stem[1]
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.uniform_(-0.2, 0.2)
        norm.running_var.uniform_(0.5, 2)
    net.preprocess = {"height": SIDE, "width": SIDE}  # type: ignore[assignment]
    return net.eval()


def training() -> nn.Module:
    """The same, left in training mode, as a user's function may return it."""
    return small().train()
