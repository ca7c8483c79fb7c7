"""Stable Diffusion 1's encoder as one network: photographs through VAE and UNet down to the middle, and a mean.

The VAE's encoder gives the mode of its latents, scaled; the UNet's way down and its middle block read them at time 0,
with the text of one constant prompt; what comes out of the middle is normalised and averaged over all positions. Time
and text are constants, so neither a sampler nor a text tower is part of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

LATENT_SCALE = 0.18215
"""What the latents are multiplied by before the UNet sees them: ``scale_factor`` of the model's configuration."""
PROMPT_TOKENS = 77
"""Positions of the text tower."""
_LEVELS = (1, 2, 4, 4)
"""Widths of the four levels of VAE and UNet, in widths of the first."""
_LATENTS = 4


def stable_diffusion_1_4(
    width: int = 320, vae_width: int = 128, context: int = 768, heads: int = 8, groups: int = 32
) -> torch.nn.Module:
    """float32 [n, 3, h, w] in [-1, 1], sides multiples of 64 → features [n, 4 · width].

    Built from diffusers' blocks with the configuration of ``v1-inference.yaml``. Its tensors have diffusers' names:
    ``vae.encoder.…``, ``vae.quant_conv.…``, ``unet.…``, and ``text`` [1, 77, context], the prompt's embedding.

    Args:
        width, vae_width: channels of the first level. context: width of the text's embedding.
        heads: of each attention in the UNet. groups: of each group norm.

    Raises:
        ModuleNotFoundError: diffusers is not installed.
    """
    from export.torchvision_ops import import_torchvision

    import_torchvision()  # diffusers imports it where it is installed
    import torch
    from diffusers.models.attention_processor import Attention
    from diffusers.models.autoencoders.vae import Encoder
    from diffusers.models.embeddings import TimestepEmbedding
    from diffusers.models.unets.unet_2d_blocks import CrossAttnDownBlock2D, DownBlock2D, UNetMidBlock2DCrossAttn
    from torch import nn

    widths = [width * level for level in _LEVELS]
    shared: dict[str, Any] = {"temb_channels": 4 * width, "resnet_eps": 1e-5, "resnet_groups": groups}
    crossed: dict[str, Any] = {"num_attention_heads": heads, "cross_attention_dim": context}

    def level(i: int) -> nn.Module:
        last = i == len(widths) - 1
        block, more = (DownBlock2D, {}) if last else (CrossAttnDownBlock2D, crossed)
        made: nn.Module = block(
            in_channels=widths[max(0, i - 1)],
            out_channels=widths[i],
            num_layers=2,
            add_downsample=not last,
            **shared,
            **more,
        )
        return made

    class StableDiffusionEncoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            encoder = Encoder(
                out_channels=_LATENTS,
                down_block_types=("DownEncoderBlock2D",) * len(_LEVELS),
                block_out_channels=tuple(vae_width * level for level in _LEVELS),
                norm_num_groups=groups,
            )
            self.vae = nn.ModuleDict({"encoder": encoder, "quant_conv": nn.Conv2d(2 * _LATENTS, 2 * _LATENTS, 1)})
            self.unet = nn.ModuleDict(
                {
                    "time_embedding": TimestepEmbedding(width, 4 * width),
                    "conv_in": nn.Conv2d(_LATENTS, width, 3, padding=1),
                    "down_blocks": nn.ModuleList([level(i) for i in range(len(widths))]),
                    "mid_block": UNetMidBlock2DCrossAttn(in_channels=widths[-1], **shared, **crossed),
                }
            )
            self.text = nn.Parameter(torch.randn(1, PROMPT_TOKENS, context))
            # cosines, then sines, of 0 times the frequencies
            time = torch.cat([torch.ones(1, width // 2), torch.zeros(1, width // 2)], dim=1)
            self.register_buffer("time", time, persistent=False)
            self.norm = nn.GroupNorm(groups, widths[-1], affine=False)
            for part in self.modules():
                if isinstance(part, Attention):
                    part.set_processor(_PlainAttention())  # type: ignore[arg-type]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            mode, _ = self.vae["quant_conv"](self.vae["encoder"](x)).chunk(2, dim=1)
            time = self.unet["time_embedding"](self.time)
            x = self.unet["conv_in"](LATENT_SCALE * mode)
            for block in self.unet["down_blocks"].children():
                text = {"encoder_hidden_states": self.text} if isinstance(block, CrossAttnDownBlock2D) else {}
                x, _ = block(x, temb=time, **text)
            x = self.unet["mid_block"](x, temb=time, encoder_hidden_states=self.text)
            features: torch.Tensor = self.norm(x).mean((2, 3))
            return features

    return StableDiffusionEncoder()


class _PlainAttention:
    """Attention over diffusers' modules in its plain form, which engines fuse by themselves.

    Keys and values of the text have a batch of one for all images, and so become constants of an exported file;
    diffusers' own would need the text once for each image.
    """

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        temb: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """``hidden_states`` [n, t, c], or [n, c, h, w] in the VAE, with themselves or with the text [1, t, context]."""
        x = hidden_states.flatten(2).transpose(1, 2) if hidden_states.ndim == 4 else hidden_states
        if attn.group_norm is not None:
            x = attn.group_norm(x.transpose(1, 2)).transpose(1, 2)
        other = x if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = (
            part.unflatten(2, (attn.heads, -1)).transpose(1, 2)
            for part in (attn.to_q(x), attn.to_k(other), attn.to_v(other))
        )
        weights = (query @ key.transpose(2, 3) * attn.scale).softmax(dim=3)
        x = attn.to_out[0]((weights @ value).transpose(1, 2).flatten(2))
        if hidden_states.ndim == 4:
            x = x.transpose(1, 2).unflatten(2, hidden_states.shape[2:])
        found: torch.Tensor = x + hidden_states if attn.residual_connection else x
        return found
