"""What an exported file gives: the pooled features (or logits), and on request maps at several scales, or tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from export.errors import UserError

if TYPE_CHECKING:
    import torch


def module_with_outputs(module: torch.nn.Module, output: str, maps: bool) -> torch.nn.Module:
    """Wrap a backbone so that its forward returns ``output`` first, and then its maps.

    Args:
        output: the name of the main output; a module that gives [n, d, 1, 1] is flattened.
        maps: with it, a network with strides gives ``map_s4 … map_s32`` [n, c, h, w] (the last map of each stride),
            a plain vision transformer ``tokens`` [n, t, d] (class and register tokens first, after the last norm).

    Raises:
        UserError: maps of a module that has none.
    """
    import torch

    if maps and not hasattr(module, "forward_intermediates"):
        raise UserError(
            "This backbone cannot give feature maps.", "It has no method forward_intermediates, as timm's models have."
        )
    strides = _strides(module) if maps else []
    plain = maps and len(set(strides)) < 2

    class WithOutputs(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = module
            extra = ["tokens"] if plain else [f"map_s{s}" for s in sorted(set(strides))]
            self.names = [output, *extra] if maps else [output]

        def forward(self, x: torch.Tensor) -> Any:
            if not maps:
                return _flat(self.backbone(x))
            timm_model = cast(Any, self.backbone)
            if plain:
                tokens = timm_model.forward_features(x)
                return _flat(timm_model.forward_head(tokens)), tokens
            last, found = timm_model.forward_intermediates(x, output_fmt="NCHW")
            by_stride = dict(zip(strides, found, strict=True))  # the last map of a stride wins
            return (_flat(timm_model.forward_head(last)), *(by_stride[s] for s in sorted(by_stride)))

    def _flat(y: torch.Tensor) -> torch.Tensor:
        return y.flatten(1) if y.ndim == 4 and tuple(y.shape[2:]) == (1, 1) else y

    return WithOutputs().eval()


def _strides(module: torch.nn.Module) -> list[int]:
    return [int(info["reduction"]) for info in cast(Any, module).feature_info]
