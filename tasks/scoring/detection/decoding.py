"""From predictions in cells to detections, in torch: the twin of what the ONNX graph does."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tasks.scoring.detection import network
from tasks.scoring.detection.grid import Grid
from tasks.scoring.detection.recipe import MASK_SIDE, PROTOTYPES


def decoded(found: Mapping[str, Tensor], grid: Grid, scale: float, present: Tensor, count: int) -> dict[str, Tensor]:
    """The best ``count`` peaks over all classes and cells: a cell that no neighbour of the 3 × 3 around it exceeds.

    Args:
        found: as :func:`network.forward` gives it. present: the label of each column of ``heat``.

    Returns:
        ``boxes`` [n, count, 4], ``scores`` and ``labels`` [n, count]; with prototypes ``masks`` [n, count, 48, 48]. A
        score of 0 stands for no detection.
    """
    heat = found["heat"]
    peaks = heat.sigmoid() * (heat == functional.max_pool2d(heat, 3, 1, 1))
    scores, places = peaks.flatten(1).topk(count)
    cells = places % grid.cells
    sides = found["sides"].flatten(2).transpose(1, 2).gather(1, cells[..., None].expand(-1, -1, 4))
    best = network.boxes(sides, torch.from_numpy(grid.centres()).flatten(1).T[cells], scale)
    out = {"boxes": best, "scores": scores, "labels": present[places // grid.cells]}
    if "prototypes" in found:
        rows = found["coefficients"].flatten(2).transpose(1, 2)
        coefficients = rows.gather(1, cells[..., None].expand(-1, -1, rows.shape[2]))
        out["masks"] = masks(found["prototypes"], coefficients, best, grid, MASK_SIDE)
    return out


def masks(prototypes: Tensor, coefficients: Tensor, boxes: Tensor, grid: Grid, side: int) -> Tensor:
    """Logits [n, k, side, side] at the centres of side × side equal parts of each box.

    The prototypes [n, p, h, w], weighed by the coefficients [n, k, p + 1] (the last is added), are interpolated
    bilinearly. Rows and columns of that are matrix products, which every engine has.
    """
    whole = torch.einsum("nkp,nphw->nkhw", coefficients[..., :PROTOTYPES], prototypes)
    down = _hats(boxes[..., 1], boxes[..., 3], grid.stride[1], grid.height, side)
    across = _hats(boxes[..., 0], boxes[..., 2], grid.stride[0], grid.width, side)
    return down @ whole @ across.transpose(-1, -2) + coefficients[..., PROTOTYPES:, None]


def _hats(low: Tensor, high: Tensor, stride: float, count: int, side: int) -> Tensor:
    """The weight of each of ``count`` cells at each of ``side`` points from ``low`` to ``high``: [..., side, count]."""
    parts = torch.from_numpy(((np.arange(side) + 0.5) / side).astype(np.float32))
    points = ((low[..., None] + (high - low)[..., None] * parts) / stride - 0.5).clamp(0, count - 1)
    return torch.relu(1 - (points[..., None] - torch.arange(count, dtype=torch.float32)).abs())
