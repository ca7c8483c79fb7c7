"""What a detector's head is trained on."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def focal(logits: Tensor, heat: Tensor, counted: Tensor) -> Tensor:
    """CenterNet's form of the focal loss, summed over cells, per object (Zhou et al. 2019, "Objects as points", eq. 1).

    Args:
        logits, heat: [n, c, h, w]; a centre is where ``heat`` is 1. counted: bool [n, 1, h, w].
    """
    chance, centre = logits.sigmoid(), heat == 1
    hit = (1 - chance) ** 2 * functional.logsigmoid(logits)
    miss = (1 - heat) ** 4 * chance**2 * functional.logsigmoid(-logits)
    return -torch.where(centre, hit, miss * counted).sum() / centre.sum().clamp(min=1)


def giou(one: Tensor, other: Tensor) -> Tensor:
    """Generalised IoU of boxes x1, y1, x2, y2 [k, 4], −1 … 1 (Rezatofighi et al. 2019)."""
    shared = (torch.minimum(one[:, 2:], other[:, 2:]) - torch.maximum(one[:, :2], other[:, :2])).clamp(min=0).prod(1)
    hull = (torch.maximum(one[:, 2:], other[:, 2:]) - torch.minimum(one[:, :2], other[:, :2])).clamp(min=0).prod(1)
    union = _area(one) + _area(other) - shared
    return shared / union.clamp(min=1e-6) - (hull - union) / hull.clamp(min=1e-6)


def _area(boxes: Tensor) -> Tensor:
    return (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(1)


def mask_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Binary cross-entropy plus dice (Milletari et al. 2016), the mean over objects; both [k, s, s]."""
    entropy = functional.binary_cross_entropy_with_logits(logits, masks, reduction="none").mean((1, 2))
    chance = logits.sigmoid()
    dice = 1 - (2 * (chance * masks).sum((1, 2)) + 1) / (chance.sum((1, 2)) + masks.sum((1, 2)) + 1)
    return (entropy + dice).mean()
