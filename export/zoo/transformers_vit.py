"""A vision transformer's tensors: from the names of Hugging Face's transformers (``encoder.layer.0…``) to timm's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from export.errors import UserError

if TYPE_CHECKING:
    import torch

Tensors = Mapping[str, npt.NDArray[np.float32]]

_BLOCK = {
    "norm1": "norm1",
    "attention.output.dense": "attn.proj",
    "layer_scale1.lambda1": "ls1.gamma",
    "norm2": "norm2",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
    "layer_scale2.lambda1": "ls2.gamma",
}
"""Parts of a block that have one counterpart each; query, key and value are one tensor in timm."""

_OUTSIDE = {
    "embeddings.cls_token": "cls_token",
    "embeddings.patch_embeddings.projection": "patch_embed.proj",
    "layernorm": "norm",
}


def state(tensors: Tensors, grid: tuple[int, int], prefix: str = "backbone.") -> dict[str, torch.Tensor]:
    """The tensors under timm's names, for a module with a grid of (rows, columns) patches; what is no part of it is
    left out.

    The exporter splits the position embeddings into two constants without a name, [1, 1, d] for the class token and
    [1, side², d] for the patches. The latter are resized as the exported graph does it: bicubic, without antialiasing
    (timm resizes with it, which moves the embeddings by up to 0.39).

    Raises:
        UserError: there are no such constants, or they are no square grid.
    """
    import torch

    found: dict[str, npt.NDArray[np.float32]] = {}
    for name, values in tensors.items():
        if name.startswith(prefix) and (ours := _renamed(name.removeprefix(prefix))):
            found[ours] = values
    for block in {m[1] for name in tensors if (m := re.search(r"encoder\.layer\.(\d+)\.", name))}:
        for kind in ("weight", "bias"):
            attention = f"{prefix}encoder.layer.{block}.attention.attention"
            parts = [tensors.get(f"{attention}.{part}.{kind}") for part in ("query", "key", "value")]
            if all(part is not None for part in parts):
                found[f"blocks.{block}.attn.qkv.{kind}"] = np.concatenate(parts)  # type: ignore[arg-type]
    made = {name: torch.from_numpy(np.array(values, order="C")) for name, values in found.items()}
    return {**made, "pos_embed": _positions(tensors, grid)}


def left_out(tensors: Tensors, prefix: str = "backbone.") -> list[str]:
    """Names of the tensors that are no part of the transformer: of its head or decoder."""
    used = re.compile(r"encoder\.layer\.\d+\.attention\.attention\.(query|key|value)\.(weight|bias)$")

    def placed(name: str) -> bool:
        own = name.removeprefix(prefix)
        return name.startswith(prefix) and bool(_renamed(own) or used.match(own))

    return [n for n, values in tensors.items() if values.ndim and not placed(n) and not _position(n, values)]


def _position(name: str, values: npt.NDArray[np.float32]) -> bool:
    return name.startswith("onnx::") and values.ndim == 3


def _renamed(name: str) -> str:
    """timm's name of one tensor; empty where it has none of its own."""
    block = re.match(r"encoder\.layer\.(\d+)\.(.+)$", name)
    table, rest, start = (_BLOCK, block[2], f"blocks.{block[1]}.") if block else (_OUTSIDE, name, "")
    part, _, kind = rest.rpartition(".")
    if rest in table:
        return start + table[rest]
    return f"{start}{table[part]}.{kind}" if part in table else ""


def _positions(tensors: Tensors, wanted: tuple[int, int]) -> torch.Tensor:
    """float32 [1, 1 + rows · columns, d]: the class token's position, and the grid of the patches' in that size."""
    import torch

    nameless = [values for name, values in tensors.items() if _position(name, values)]
    first = [v for v in nameless if v.shape[1] == 1]
    grids = [v for v in nameless if v.shape[1] > 1]
    side = round(grids[0].shape[1] ** 0.5) if grids else 0
    if len(first) != 1 or len(grids) != 1 or side**2 != grids[0].shape[1]:
        raise UserError("The position embeddings are not a square grid plus a class token.")
    grid = torch.from_numpy(grids[0].copy()).reshape(1, side, side, -1).permute(0, 3, 1, 2)
    resized = torch.nn.functional.interpolate(grid, size=wanted, mode="bicubic", align_corners=False)
    return torch.cat([torch.from_numpy(first[0].copy()), resized.flatten(2).transpose(1, 2)], dim=1)
