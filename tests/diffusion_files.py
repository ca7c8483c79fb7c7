"""A small Stable Diffusion 1, as the original project and as diffusers save it, with random values.

Names and shapes are those of the original project's modules, written down from their constructors. diffusers' own
conversion makes its two networks of them, which compute what an encoder has to give.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch.nn.functional import group_norm

from export.torchvision_ops import import_torchvision

State = dict[str, torch.Tensor]
Shapes = Iterator[tuple[str, tuple[int, ...]]]

SMALL = {"width": 32, "vae_width": 16, "context": 64, "heads": 2, "groups": 8}
"""Arguments of the encoder."""
UNET, VAE, TEXT = "model.diffusion_model.", "first_stage_model.", "cond_stage_model.transformer.text_model."
LEVELS = (1, 2, 4, 4)


def _plain(name: str, *shape: int) -> Shapes:
    """Weights and biases of a norm (one width), of a linear map or of a convolution."""
    yield f"{name}.weight", shape
    yield f"{name}.bias", shape[:1]


def _residual(name: str, into: int, out: int, time: int) -> Shapes:
    yield from _plain(f"{name}.in_layers.0", into)
    yield from _plain(f"{name}.in_layers.2", out, into, 3, 3)
    yield from _plain(f"{name}.emb_layers.1", out, time)
    yield from _plain(f"{name}.out_layers.0", out)
    yield from _plain(f"{name}.out_layers.3", out, out, 3, 3)
    if into != out:
        yield from _plain(f"{name}.skip_connection", out, into, 1, 1)


def _transformer(name: str, width: int, context: int) -> Shapes:
    yield from _plain(f"{name}.norm", width)
    yield from _plain(f"{name}.proj_in", width, width, 1, 1)
    block = f"{name}.transformer_blocks.0"
    for attention, other in (("attn1", width), ("attn2", context)):
        yield f"{block}.{attention}.to_q.weight", (width, width)
        yield f"{block}.{attention}.to_k.weight", (width, other)
        yield f"{block}.{attention}.to_v.weight", (width, other)
        yield from _plain(f"{block}.{attention}.to_out.0", width, width)
    yield from _plain(f"{block}.ff.net.0.proj", 8 * width, width)
    yield from _plain(f"{block}.ff.net.2", width, 4 * width)
    for norm in ("norm1", "norm2", "norm3"):
        yield from _plain(f"{block}.{norm}", width)
    yield from _plain(f"{name}.proj_out", width, width, 1, 1)


def _unet(width: int, context: int) -> Shapes:
    time = 4 * width
    yield from _plain("time_embed.0", time, width)
    yield from _plain("time_embed.2", time, time)
    yield from _plain("input_blocks.0.0", width, 4, 3, 3)
    skips, now, at = [width], width, 1
    for level, times in enumerate(LEVELS):
        for _ in range(2):
            yield from _residual(f"input_blocks.{at}.0", now, times * width, time)
            now = times * width
            if level < 3:
                yield from _transformer(f"input_blocks.{at}.1", now, context)
            skips.append(now)
            at += 1
        if level < 3:
            yield from _plain(f"input_blocks.{at}.0.op", now, now, 3, 3)
            skips.append(now)
            at += 1
    yield from _residual("middle_block.0", now, now, time)
    yield from _transformer("middle_block.1", now, context)
    yield from _residual("middle_block.2", now, now, time)
    at = 0
    for level, times in reversed(list(enumerate(LEVELS))):
        for i in range(3):
            yield from _residual(f"output_blocks.{at}.0", now + skips.pop(), times * width, time)
            now = times * width
            if level < 3:
                yield from _transformer(f"output_blocks.{at}.1", now, context)
            if level and i == 2:
                yield from _plain(f"output_blocks.{at}.{2 if level < 3 else 1}.conv", now, now, 3, 3)
            at += 1
    yield from _plain("out.0", now)
    yield from _plain("out.2", 4, now, 3, 3)


def _vae_residual(name: str, into: int, out: int) -> Shapes:
    yield from _plain(f"{name}.norm1", into)
    yield from _plain(f"{name}.conv1", out, into, 3, 3)
    yield from _plain(f"{name}.norm2", out)
    yield from _plain(f"{name}.conv2", out, out, 3, 3)
    if into != out:
        yield from _plain(f"{name}.nin_shortcut", out, into, 1, 1)


def _vae_middle(name: str, width: int) -> Shapes:
    yield from _vae_residual(f"{name}.block_1", width, width)
    yield from _plain(f"{name}.attn_1.norm", width)
    for part in ("q", "k", "v", "proj_out"):
        yield from _plain(f"{name}.attn_1.{part}", width, width, 1, 1)
    yield from _vae_residual(f"{name}.block_2", width, width)


def _vae(width: int) -> Shapes:
    now = width
    yield from _plain("encoder.conv_in", now, 3, 3, 3)
    for level, times in enumerate(LEVELS):
        for i in range(2):
            yield from _vae_residual(f"encoder.down.{level}.block.{i}", now, times * width)
            now = times * width
        if level < 3:
            yield from _plain(f"encoder.down.{level}.downsample.conv", now, now, 3, 3)
    yield from _vae_middle("encoder.mid", now)
    yield from _plain("encoder.norm_out", now)
    yield from _plain("encoder.conv_out", 8, now, 3, 3)
    yield from _plain("decoder.conv_in", now, 4, 3, 3)
    yield from _vae_middle("decoder.mid", now)
    for level, times in reversed(list(enumerate(LEVELS))):
        for i in range(3):
            yield from _vae_residual(f"decoder.up.{level}.block.{i}", now, times * width)
            now = times * width
        if level:
            yield from _plain(f"decoder.up.{level}.upsample.conv", now, now, 3, 3)
    yield from _plain("decoder.norm_out", now)
    yield from _plain("decoder.conv_out", 3, now, 3, 3)
    yield from _plain("quant_conv", 8, 8, 1, 1)
    yield from _plain("post_quant_conv", 4, 4, 1, 1)


def _text(width: int) -> Shapes:
    yield "embeddings.token_embedding.weight", (49408, width)
    yield "embeddings.position_embedding.weight", (77, width)
    for i in range(12):
        layer = f"encoder.layers.{i}"
        for part in ("k", "v", "q", "out"):
            yield from _plain(f"{layer}.self_attn.{part}_proj", width, width)
        yield from _plain(f"{layer}.layer_norm1", width)
        yield from _plain(f"{layer}.mlp.fc1", 4 * width, width)
        yield from _plain(f"{layer}.mlp.fc2", width, 4 * width)
        yield from _plain(f"{layer}.layer_norm2", width)
    yield from _plain("final_layer_norm", width)


@cache
def _original(context: int) -> State:
    draws = torch.Generator().manual_seed(11)

    def drawn(name: str, shape: tuple[int, ...]) -> torch.Tensor:
        values = torch.randn(shape, generator=draws)
        if len(shape) > 1:
            return values * math.sqrt(shape[0] / values.numel())
        return 0.2 * values + name.endswith("weight")

    parts = {UNET: _unet(SMALL["width"], context), VAE: _vae(SMALL["vae_width"]), TEXT: _text(SMALL["context"])}
    return {start + name: drawn(name, shape) for start, found in parts.items() for name, shape in found}


def original(context: int = SMALL["context"]) -> State:
    """The state of the original project's whole network, with what its files hold beside the weights."""
    schedule = ("betas", "alphas_cumprod", "sqrt_one_minus_alphas_cumprod", "posterior_mean_coef1")
    more = {name: torch.rand(1000) for name in schedule}
    return {**more, **_original(context), f"{TEXT}embeddings.position_ids": torch.arange(77)[None]}


@cache
def networks() -> tuple[Any, Any]:
    """diffusers' whole UNet and autoencoder with the weights of :func:`original`, by diffusers' own conversion."""
    import_torchvision()
    import diffusers
    from diffusers.loaders import single_file_utils

    library: Any = diffusers  # it carries no types
    conversion: Any = single_file_utils

    def widths(first: int) -> tuple[int, ...]:
        return tuple(first * times for times in LEVELS)

    unet = library.UNet2DConditionModel(
        block_out_channels=widths(SMALL["width"]),
        attention_head_dim=SMALL["heads"],  # it is the number of heads: the library keeps an old mistake
        cross_attention_dim=SMALL["context"],
        norm_num_groups=SMALL["groups"],
    )
    vae = library.AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=widths(SMALL["vae_width"]),
        layers_per_block=2,
        norm_num_groups=SMALL["groups"],
    )
    state = original()
    unet.load_state_dict(conversion.convert_ldm_unet_checkpoint(dict(state), dict(unet.config)))
    vae.load_state_dict(conversion.convert_ldm_vae_checkpoint(dict(state), dict(vae.config)))
    return unet.eval(), vae.eval()


def folder(into: Path) -> Path:
    """The same weights as diffusers' folder; the VAE's attention has the names that the published files have."""
    unet, vae = networks()
    now = "mid_block.attentions.0."
    older = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}

    def named(name: str) -> str:
        for new, old in older.items():
            name = name.replace(f"{now}{new}.", f"{now}{old}.")
        return name

    text = {name.removeprefix("cond_stage_model.transformer."): t for name, t in original().items() if TEXT in name}
    parts = {
        "unet/diffusion_pytorch_model": unet.state_dict(),
        "vae/diffusion_pytorch_model": {named(name): tensor for name, tensor in vae.state_dict().items()},
        "text_encoder/model": text,
    }
    for part, state in parts.items():
        (into / part).parent.mkdir(parents=True, exist_ok=True)
        save_file({k: v.contiguous() for k, v in state.items()}, into / f"{part}.safetensors")
    return into


@cache
def text() -> torch.Tensor:
    """What PyTorch's own transformer layers make of the prompt's tokens: float32 [1, 77, context]."""
    state = {name.removeprefix(TEXT): tensor for name, tensor in original().items() if name.startswith(TEXT)}
    width = SMALL["context"]
    tokens = torch.tensor([[49406, 2867, 26612] + [49407] * 74])
    x = state["embeddings.token_embedding.weight"][tokens] + state["embeddings.position_embedding.weight"]
    mask = torch.full((77, 77), -torch.inf).triu(1)
    with torch.inference_mode():
        for i in range(12):
            own = {n.removeprefix(f"encoder.layers.{i}."): t for n, t in state.items() if f".layers.{i}." in n}
            layer = torch.nn.TransformerEncoderLayer(
                width,
                width // 64,
                4 * width,
                activation=lambda x: x * torch.sigmoid(1.702 * x),
                batch_first=True,
                norm_first=True,
            )
            names = {"self_attn.out_proj": "self_attn.out_proj", "mlp.fc1": "linear1", "mlp.fc2": "linear2"}
            names |= {"layer_norm1": "norm1", "layer_norm2": "norm2"}
            kinds = ("weight", "bias")
            loaded = {f"{theirs}.{kind}": own[f"{name}.{kind}"] for name, theirs in names.items() for kind in kinds}
            for kind in kinds:
                joined = torch.cat([own[f"self_attn.{part}_proj.{kind}"] for part in "qkv"])
                loaded[f"self_attn.in_proj_{kind}"] = joined
            layer.load_state_dict(loaded)
            x = layer.eval()(x, src_mask=mask)
        weight, bias = state["final_layer_norm.weight"], state["final_layer_norm.bias"]
        return torch.nn.functional.layer_norm(x, (width,), weight, bias)


def features(pixels: torch.Tensor) -> torch.Tensor:
    """What comes out of the whole UNet's middle at time 0, normalised and averaged: float32 [n, 128]."""
    unet, vae = networks()
    found: list[torch.Tensor] = []
    hook = unet.mid_block.register_forward_hook(lambda _, __, output: found.append(output))
    with torch.inference_mode():
        latents = vae.encode(pixels).latent_dist.mode() * 0.18215
        unet(latents, 0, text().expand(len(pixels), -1, -1))
    hook.remove()
    return group_norm(found[0], SMALL["groups"]).mean((2, 3))
