"""What an exported file gives: the pooled features (or logits), and on request feature maps: its taps.

A network with strides has maps ``map_s4 … map_s32`` [n, c, h, w], the last of each stride. A plain vision transformer
has one stride and many blocks: ``map_s14_block4`` is what comes out of its fourth block, after the last norm, without
class and register tokens; ``map_s14`` that of its last one; ``tokens`` [n, t, d] all tokens of its last one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from export.errors import CellError, UserError

if TYPE_CHECKING:
    import torch

ALL = "all"
"""A map for each stride; of a plain vision transformer its tokens."""
SCALES = "scales"
"""Maps for dense tasks: of strides 8, 16 and 32; of a plain vision transformer that of its last block."""
_DENSE = (8, 16, 32)


def module_with_outputs(module: torch.nn.Module, output: str, taps: Sequence[str] = ()) -> torch.nn.Module:
    """Wrap a backbone so that its forward returns ``output`` first, and then its taps.

    Args:
        output: the name of the main output; a module that gives [n, d, 1, 1] is flattened.
        taps: names as above; :data:`ALL` or :data:`SCALES`; ``block4`` for a block of a plain vision transformer.

    Returns:
        A module whose ``names`` are those of its outputs.

    Raises:
        UserError: taps of a module that has none. CellError: it has others than those.
    """
    import torch

    if taps and not hasattr(module, "forward_intermediates"):
        raise UserError(
            "This backbone cannot give feature maps.", "It has no method forward_intermediates, as timm's models have."
        )
    strides = [int(info["reduction"]) for info in cast(Any, module).feature_info] if taps else []
    plain = len(set(strides)) < 2
    own = _blocks(strides, taps) if plain else _scales(strides, taps)
    maps = any(place is not None for place in own.values())

    class WithOutputs(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = module
            self.names = [output, *own]

        def forward(self, x: torch.Tensor) -> Any:
            timm_model = cast(Any, self.backbone)
            if not own:
                return _flat(timm_model(x))
            if not maps:
                last, found = timm_model.forward_features(x), []
            else:  # all of them: what no tap needs is not traced
                last, found = timm_model.forward_intermediates(
                    x, output_fmt="NCHW", **({"norm": True} if plain else {})
                )
            return (
                _flat(timm_model.forward_head(last)),
                *(last if place is None else found[place] for place in own.values()),
            )

    def _flat(y: torch.Tensor) -> torch.Tensor:
        return y.flatten(1) if y.ndim == 4 and tuple(y.shape[2:]) == (1, 1) else y

    return WithOutputs().eval()


def _scales(strides: Sequence[int], taps: Sequence[str]) -> dict[str, int | None]:
    """Name of each tap → its place among the network's maps; the last map of a stride wins."""
    last = {f"map_s{stride}": place for place, stride in enumerate(strides)}
    names = sorted(last, key=lambda name: strides[last[name]])
    found: dict[str, int | None] = {}
    for tap in taps:
        if tap == ALL:
            found |= {name: last[name] for name in names}
        elif tap == SCALES:
            dense = [name for name in names if strides[last[name]] in _DENSE] or names
            found |= {name: last[name] for name in dense}
        elif tap in last:
            found[tap] = last[tap]
        else:
            raise CellError(f"The network has no tap {tap!r}.", f"It has {', '.join(names)}.")
    return dict(sorted(found.items(), key=lambda one: strides[one[1] or 0]))


def _blocks(strides: Sequence[int], taps: Sequence[str]) -> dict[str, int | None]:
    """The same of a plain vision transformer; None stands for the tokens."""
    found: dict[str, int | None] = {}
    for tap in taps:
        whole = f"map_s{strides[0]}" if strides else ""
        block = re.fullmatch(rf"(?:{whole}_)?block(\d+)", tap)
        if tap in (ALL, "tokens"):
            found["tokens"] = None
        elif tap in (SCALES, whole):
            found[whole] = len(strides) - 1
        elif block and 1 <= int(block[1]) <= len(strides):
            found[f"{whole}_block{block[1]}"] = int(block[1]) - 1
        else:
            raise CellError(
                f"The network has no tap {tap!r}.",
                f"It has {whole} (its last block), and block1 to block{len(strides)}.",
            )
    return found
