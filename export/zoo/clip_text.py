"""CLIP's text tower for one constant prompt: what Stable Diffusion is told about every photograph.

The prompt never changes, so that its tokens are constants and no tokenizer is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

PROMPT = "image classification"
START, END = 49406, 49407
TOKENS = (START, 2867, 26612, END)
"""The prompt in CLIP's byte-pair vocabulary of 49,408; END fills the rest of the positions."""
_HEAD = 64
"""Channels of a head, in every CLIP."""
_LAYERS = 12
_PARTS = (
    *(f"self_attn.{part}_proj" for part in ("q", "k", "v", "out")),
    *("layer_norm1", "layer_norm2", "mlp.fc1", "mlp.fc2"),
)

NAMES = (
    "embeddings.token_embedding.weight",
    "embeddings.position_embedding.weight",
    *(f"encoder.layers.{i}.{part}.{kind}" for i in range(_LAYERS) for part in _PARTS for kind in ("weight", "bias")),
    *("final_layer_norm.weight", "final_layer_norm.bias"),
)
"""Its tensors, by transformers' names without ``text_model.``."""


def embedding(tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """The prompt's embedding, float32 [1, positions, width]: every position, after the last norm.

    Args:
        tensors: all of :data:`NAMES`: the embeddings of tokens [49408, width] and of positions [positions, width], and
            those of the layers, whose linear maps have [out, in].
    """
    import torch
    from torch.nn.functional import layer_norm, linear, scaled_dot_product_attention

    def of(name: str) -> tuple[torch.Tensor, torch.Tensor]:
        return tensors[f"{name}.weight"].float(), tensors[f"{name}.bias"].float()

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return layer_norm(x, x.shape[-1:], *of(name), eps=1e-5)

    def heads(x: torch.Tensor) -> torch.Tensor:
        return x.reshape(*x.shape[:2], -1, _HEAD).transpose(1, 2)

    with torch.inference_mode():
        positions = tensors["embeddings.position_embedding.weight"].float()
        tokens = torch.full((len(positions),), END)
        tokens[: len(TOKENS)] = torch.tensor(TOKENS)
        x = (tensors["embeddings.token_embedding.weight"][tokens].float() + positions)[None]
        for i in range(_LAYERS):
            layer = f"encoder.layers.{i}"
            y = norm(x, f"{layer}.layer_norm1")
            query, key, value = (heads(linear(y, *of(f"{layer}.self_attn.{part}_proj"))) for part in "qkv")
            y = scaled_dot_product_attention(query, key, value, is_causal=True).transpose(1, 2).flatten(2)
            x = x + linear(y, *of(f"{layer}.self_attn.out_proj"))
            y = linear(norm(x, f"{layer}.layer_norm2"), *of(f"{layer}.mlp.fc1"))
            x = x + linear(y * torch.sigmoid(1.702 * y), *of(f"{layer}.mlp.fc2"))  # OpenAI's approximation of GELU
        return norm(x, "final_layer_norm").clone()
