"""The head of a detector in torch, as functions of its weights: their names are those of its ONNX graph."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from tasks.scoring.detection.grid import Grid
from tasks.scoring.detection.recipe import (
    BRANCHES,
    EPSILON,
    GROUPS,
    LARGEST,
    PROTOTYPES,
    SHAPE_BRANCH,
    SHARED,
    WIDTH,
    Recipe,
)

PRIOR = -2.19
"""Logit of a tenth: how likely an object is before anything is learned (RetinaNet)."""


def initial(channels: Mapping[str, int], classes: int, recipe: Recipe, seed: int) -> dict[str, Tensor]:
    """Weights by name, float32, seeded.

    Those before a GroupNorm are small (torch's default for convolutions): the norm takes their size away, and the
    smaller they are, the further a step turns them.

    Args:
        channels: of each tap, by name.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int, deviation: float) -> Tensor:
        return torch.randn(shape, generator=generator) * deviation

    made = {
        f"lateral_{name}_weight": normal(WIDTH, count, 1, 1, deviation=(len(channels) * count) ** -0.5)
        for name, count in channels.items()
    }
    made |= {"sum_scale": torch.ones(WIDTH), "sum_bias": torch.zeros(WIDTH)}
    side = recipe.kernel
    for block in (SHARED, *recipe.branches):
        made[f"{block}_weight"] = normal(WIDTH, WIDTH, side, side, deviation=(3 * WIDTH * side**2) ** -0.5)
        made |= {f"{block}_scale": torch.ones(WIDTH), f"{block}_bias": torch.zeros(WIDTH)}
    made |= {"heat_weight": normal(classes, WIDTH, 1, 1, deviation=0.05), "heat_bias": torch.full((classes,), PRIOR)}
    made |= {"sides_weight": normal(4, WIDTH, 1, 1, deviation=0.05), "sides_bias": torch.zeros(4)}
    if recipe.shapes:
        made["prototypes_weight"] = normal(PROTOTYPES, WIDTH, 1, 1, deviation=WIDTH**-0.5)
        made["prototypes_bias"] = torch.zeros(PROTOTYPES)
        made["coefficients_weight"] = normal(PROTOTYPES + 1, WIDTH, 1, 1, deviation=0.01)
        made["coefficients_bias"] = torch.zeros(PROTOTYPES + 1)
    return made


def forward(weights: Mapping[str, Tensor], taps: Mapping[str, Tensor], grid: Grid) -> dict[str, Tensor]:
    """Predictions in every cell of the grid [h, w].

    Args:
        taps: by name, float32 [n, c, …], standardised.

    Returns:
        ``heat`` [n, classes, h, w], logits; ``sides`` [n, 4, h, w], the logarithm of the distances from a cell's centre
        to the left, upper, right and lower side of its box, in units of the scale; with masks also ``prototypes``
        [n, 24, h, w] and ``coefficients`` [n, 25, h, w].
    """
    size = (grid.height, grid.width)
    parts = []
    for name, tap in taps.items():
        # channel by channel in each cell: enlarging a tap costs a fifth of what it does plane by plane
        lateral = functional.conv2d(
            tap.contiguous(memory_format=torch.channels_last), weights[f"lateral_{name}_weight"]
        )
        same = lateral.shape[2:] == size
        parts.append(lateral if same else functional.interpolate(lateral, size, mode="bilinear", align_corners=False))
    rows = _block(_normalised(sum(parts[1:], parts[0]), weights, "sum"), weights, SHARED)
    out = {}
    for block, outputs in (BRANCHES | SHAPE_BRANCH).items():
        if f"{block}_weight" in weights:
            own = _block(rows, weights, block)
            for name in outputs:
                out[name] = functional.conv2d(own, weights[f"{name}_weight"], weights[f"{name}_bias"])
    return out


def _block(rows: Tensor, weights: Mapping[str, Tensor], name: str) -> Tensor:
    kernel = weights[f"{name}_weight"]
    return functional.relu(_normalised(functional.conv2d(rows, kernel, padding=kernel.shape[-1] // 2), weights, name))


def _normalised(rows: Tensor, weights: Mapping[str, Tensor], name: str) -> Tensor:
    return functional.group_norm(rows, GROUPS, weights[f"{name}_scale"], weights[f"{name}_bias"], EPSILON)


def boxes(sides: Tensor, centres: Tensor, scale: float) -> Tensor:
    """x1, y1, x2, y2 in the input's pixels [..., 4]: the centres [..., 2] of cells, and exp(sides) · scale from there.

    Args:
        sides: [..., 4].
    """
    away = torch.exp(sides.clamp(max=LARGEST)) * scale
    return torch.cat([centres - away[..., :2], centres + away[..., 2:]], -1)
