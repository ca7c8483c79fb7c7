"""A network cut after one of its stages or blocks: what comes out there, pooled, is its feature.

Depths count from 1. They are the maps of timm's ``forward_intermediates``, one for each entry of ``feature_info``.

* Networks with strides have stages; where timm counts the stem, it is the first. The feature is the mean of the stage's
  map over all positions. No norm is applied: the final one belongs to the last stage.
* Plain vision transformers have blocks. Their tokens pass the final norm, as ``forward_intermediates(norm=True)`` has
  it for every block, and then the network's own pooling: class token, mean of the patches, or whatever it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from export.errors import CellError

if TYPE_CHECKING:
    import torch

NEEDED = ("feature_info", "forward_intermediates", "prune_intermediate_layers")
"""What a module must have to be cut; timm's have it."""


def strides(name: str, module: torch.nn.Module) -> list[int]:
    """The stride in pixels at each depth; one and the same for all blocks of a plain vision transformer.

    Raises:
        CellError: the module cannot be cut.
    """
    if missing := [part for part in NEEDED if not hasattr(module, part)]:
        raise CellError(
            f"{name!r} cannot be cut at a depth.",
            f"Its module has no {' and no '.join(missing)}, as timm's models have.",
            "leave out --depth for it",
        )
    return [int(info["reduction"]) for info in cast(Any, module).feature_info]


def every(name: str, module: torch.nn.Module) -> list[int]:
    """All depths at which something is cut off. After its last block a plain vision transformer is whole.

    Raises:
        CellError: the module cannot be cut.
    """
    from copy import deepcopy

    last = len(strides(name, module))
    whole = _parameters(module)
    return [*range(1, last), *([last] if _parameters(cut(name, deepcopy(module), last)) < whole else [])]


def cut(name: str, module: torch.nn.Module, depth: int) -> torch.nn.Module:
    """The network up to a depth: float32 [n, 3, height, width] → features [n, d]. Feature maps that lie before the cut
    can still be had of it.

    Args:
        module: without its classifier. What comes after ``depth`` is taken out of it.

    Raises:
        CellError: it cannot be cut, or is not so deep.
    """
    found = strides(name, module)
    plain = len(set(found)) < 2
    if depth > len(found):
        raise CellError(
            f"{name!r} has no depth {depth}.",
            f"It has {len(found)} {'blocks' if plain else 'stages'}.",
            f"--depth {len(found)}",
        )
    network = cast(Any, module)
    network.prune_intermediate_layers([depth - 1], prune_norm=not plain, prune_head=not plain)
    if plain:
        network.feature_info = network.feature_info[:depth]
        return module
    return _pooled(network, depth)


def _pooled(network: Any, depth: int) -> torch.nn.Module:
    """The first stages, and the mean of the last one's map; maps are asked of it by the methods of timm's models."""
    import torch

    class Stages(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network
            self.feature_info = [dict(info) for info in network.feature_info][:depth]

        def forward_intermediates(self, x: torch.Tensor, **how: Any) -> tuple[torch.Tensor, list[torch.Tensor]]:
            how |= {"norm": False, "output_fmt": "NCHW", "stop_early": True, "intermediates_only": True}
            maps: list[torch.Tensor] = self.network.forward_intermediates(x, indices=list(range(depth)), **how)
            return maps[-1], maps

        def forward_features(self, x: torch.Tensor) -> torch.Tensor:
            return self.forward_intermediates(x)[0]

        def forward_head(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean((2, 3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.forward_head(self.forward_features(x))

    return Stages().eval()


def _parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
