"""Checkpoints of Stable Diffusion 1, for the encoder in :mod:`export.zoo.diffusion`: two layouts, read strictly.

* One file of the original project's (``sd-v1-4.ckpt``, or the same as safetensors): ``model.diffusion_model.…``,
  ``first_stage_model.…`` and ``cond_stage_model.…``, with the names of its own modules.
* A folder of diffusers' (``unet/``, ``vae/`` and ``text_encoder/``, a safetensors file in each), with diffusers' names.

Every tensor is used, or is of a part that is known and not needed; of safetensors no others are read. The text tower is
run here once, for the prompt's embedding.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.errors import UserError, first_line
from export.zoo import checkpoint, clip_text, formats
from export.zoo.checkpoint import Contents
from export.zoo.reading import few

if TYPE_CHECKING:
    import torch

Shape = tuple[int, ...]
_FIT = "a checkpoint of Stable Diffusion 1: sd-v1-4.ckpt, or diffusers' folder"


@dataclass(frozen=True)
class _Layout:
    """Where a kind of checkpoint has things.

    Attributes:
        of: its name for a tensor of the encoder's.
        text: the beginning of the text tower's names.
        known: what the names of tensors begin with that are not needed.
    """

    of: Callable[[str], str]
    text: str
    known: re.Pattern[str]


@dataclass(frozen=True)
class _Opened:
    """A checkpoint whose tensors need not have been read: their shapes, and a way to get each."""

    shapes: Mapping[str, Shape]
    tensor: Callable[[str], torch.Tensor]


def contents(path: Path, module: torch.nn.Module, what: str) -> Contents:
    """The encoder's tensors under its own names.

    Args:
        path: a file or a folder. module: the encoder. what: its name, for a reader.

    Raises:
        UserError: the file is another thing or damaged; tensors are missing, have another shape or are of no known
            part; or there is no text tower.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    if wanted.pop("text", None) is None:
        raise UserError(f"{type(module).__name__} is not Stable Diffusion's encoder.", "It has no tensor named text.")
    opened = _folder(path) if formats.of(path) == formats.DIFFUSERS else _file(path)
    layout = _layout(opened.shapes, path)
    places = {name: layout.of(name) for name in wanted}
    _require_fit(path, what, {places[name]: shape for name, shape in wanted.items()}, opened.shapes)
    texts = {name: f"{layout.text}{name}" for name in clip_text.NAMES}
    _require_text(path, layout, texts.values(), opened.shapes)
    used = {*places.values(), *texts.values()}
    left = [name for name in opened.shapes if name not in used]
    if strange := [name for name in left if not layout.known.match(name)]:
        raise UserError(
            f"The checkpoint {path.name} holds what Stable Diffusion 1 does not have.",
            f"{len(strange)} tensors have no place in it ({few(strange)}).",
            _FIT,
        )
    tensors = {name: opened.tensor(place).reshape(wanted[name]) for name, place in places.items()}
    tensors["text"] = clip_text.embedding({name: opened.tensor(place) for name, place in texts.items()})
    return Contents(path.name, tensors, unread=tuple(left))


def _require_fit(path: Path, what: str, wanted: Mapping[str, Shape], found: Mapping[str, Shape]) -> None:
    missing = [name for name in wanted if name not in found]
    other = [name for name in wanted if name in found and _plain(name, found[name]) != wanted[name]]
    why = []
    if missing:
        why.append(f"{len(missing)} of {len(wanted)} tensors are missing ({few(missing)})")
    if other:
        shown = [f"{name}: {_size(found[name])}, not {_size(wanted[name])}" for name in other]
        why.append(f"{len(other)} of {len(wanted)} tensors have another shape ({few(shown)})")
    if why:
        raise UserError(f"The checkpoint {path.name} does not fit {what}.", f"{'; '.join(why)}.", _FIT)


def _require_text(path: Path, layout: _Layout, wanted: Iterable[str], found: Mapping[str, Shape]) -> None:
    missing = [name for name in wanted if name not in found]
    if not missing:
        return
    some = any(name.startswith(layout.text) for name in found)
    raise UserError(
        f"The text tower of the checkpoint {path.name} is not {'whole' if some else 'there'}.",
        f"It gives the embedding of {clip_text.PROMPT!r}: {len(missing)} of its tensors are missing ({few(missing)}).",
        "the whole checkpoint: sd-v1-4.ckpt, or diffusers' folder with text_encoder",
    )


def _plain(name: str, shape: Shape) -> Shape:
    """The original's attention in the VAE has convolutions of 1x1 where diffusers has linear maps."""
    return shape[:2] if ".attn_1." in name and shape[2:] == (1, 1) else shape


def _size(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "a number"


# -- files -------------------------------------------------------------------------------------------------------------


def _file(path: Path) -> _Opened:
    if formats.of(path) == formats.SAFETENSORS:
        return _safetensors(path)
    found = checkpoint.read(path)
    start = "state_dict."
    inside = start if start in found.levels else ""
    tensors = {name.removeprefix(inside): tensor for name, tensor in found.tensors.items()}
    return _Opened({name: tuple(tensor.shape) for name, tensor in tensors.items()}, tensors.__getitem__)


def _folder(path: Path) -> _Opened:
    """The files of a folder as one checkpoint, each tensor after the name of its part: ``unet/conv_in.weight``."""
    parts = {file.parent.name: _safetensors(file) for file in formats.parts(path)}
    shapes = {f"{part}/{name}": shape for part, opened in parts.items() for name, shape in opened.shapes.items()}

    def tensor(name: str) -> torch.Tensor:
        part, _, own = name.partition("/")
        return parts[part].tensor(own)

    return _Opened(shapes, tensor)


def _safetensors(path: Path) -> _Opened:
    from safetensors import SafetensorError, safe_open

    try:
        file: Any = safe_open(path, framework="pt").__enter__()  # type: ignore[no-untyped-call]
        names: list[str] = file.keys()
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in names}
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"The checkpoint {path.name} is damaged or truncated.", first_line(error)) from error
    return _Opened(shapes, file.get_tensor)


# -- names -------------------------------------------------------------------------------------------------------------


def _layout(names: Mapping[str, object], path: Path) -> _Layout:
    if any(name.startswith("unet/") for name in names):
        old = any(name.startswith(f"vae/{_VAE_ATTENTION}query.") for name in names)
        return _Layout(_older if old else _diffusers, "text_encoder/text_model.", _OTHER_DIFFUSERS)
    if any(name.startswith("model.diffusion_model.") for name in names):
        averaged = any(name.startswith("model_ema.diffusion_model") for name in names)
        return _Layout(_averaged if averaged else original, "cond_stage_model.transformer.text_model.", _OTHER_ORIGINAL)
    raise UserError(
        f"The checkpoint {path.name} is not of Stable Diffusion.",
        f"None of its names begins with model.diffusion_model, and it has no unet: {few(names)}.",
        _FIT,
    )


_OTHER_DIFFUSERS = re.compile(
    r"unet/(up_blocks|conv_norm_out|conv_out)\.|vae/(decoder|post_quant_conv)\.|text_encoder/text_model\.embeddings\.position_ids"
)
_OTHER_ORIGINAL = re.compile(
    r"model\.diffusion_model\.|first_stage_model\.(decoder|post_quant_conv|loss)\.|model_ema\.|optimizer_states\."
    r"|cond_stage_model\.transformer\.text_model\.embeddings\.position_ids"
    r"|(betas|logvar|(sqrt_|log_)?(one_minus_|recip_|recipm1_)?alphas_cumprod(_prev)?|posterior_\w+)$"
)
"""The decoder's half; the noise schedule; and what training kept. Of the UNet, what is needed is checked before."""
_VAE_ATTENTION = "encoder.mid_block.attentions.0."
_OLD = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
"""How diffusers called the parts of the VAE's attention when the files of Stable Diffusion 1 were published."""


def _diffusers(name: str) -> str:
    return name.replace(".", "/", 1)


def _older(name: str) -> str:
    return _renamed(_diffusers(name), f"vae/{_VAE_ATTENTION}", _OLD)


def _averaged(name: str) -> str:
    """In a file that holds an average of the UNet beside it: the average, whose names have lost their dots."""
    start = "model.diffusion_model."
    plain = original(name)
    return f"model_ema.{plain.removeprefix('model.').replace('.', '')}" if plain.startswith(start) else plain


def original(name: str) -> str:
    """The original project's name for a tensor of the encoder."""
    part, _, own = name.partition(".")
    return f"model.diffusion_model.{_unet(own)}" if part == "unet" else f"first_stage_model.{_vae(own)}"


_RESIDUAL = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_OUTSIDE = {"time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2"}
_SHORTCUT = {"conv_shortcut": "nin_shortcut"}
_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def _unet(name: str) -> str:
    """The way down is one list there: the first convolution, then for each level two blocks and what halves the map."""
    found = re.fullmatch(r"(?:down_blocks\.(\d)|mid_block)\.(resnets|attentions|downsamplers)\.(\d)\.(.+)", name)
    if not found:
        return _renamed(_renamed(name, "", _OUTSIDE), "", {"conv_in": "input_blocks.0.0"})
    level, kind, i, own = found.groups()
    attends = kind == "attentions"
    own = _renamed(own, "", _RESIDUAL) if kind == "resnets" else own
    if level is None:
        return f"middle_block.{1 if attends else 2 * int(i)}.{own}"
    first = 1 + 3 * int(level)
    if kind == "downsamplers":
        return f"input_blocks.{first + 2}.0.{_renamed(own, '', {'conv': 'op'})}"
    return f"input_blocks.{first + int(i)}.{int(attends)}.{own}"


def _vae(name: str) -> str:
    if found := re.fullmatch(r"encoder\.down_blocks\.(\d)\.resnets\.(\d)\.(.+)", name):
        return f"encoder.down.{found[1]}.block.{found[2]}.{_renamed(found[3], '', _SHORTCUT)}"
    if found := re.fullmatch(r"encoder\.down_blocks\.(\d)\.downsamplers\.0\.(.+)", name):
        return f"encoder.down.{found[1]}.downsample.{found[2]}"
    if found := re.fullmatch(r"encoder\.mid_block\.resnets\.(\d)\.(.+)", name):
        return f"encoder.mid.block_{int(found[1]) + 1}.{found[2]}"
    if name.startswith(_VAE_ATTENTION):
        return f"encoder.mid.attn_1.{_renamed(name.removeprefix(_VAE_ATTENTION), '', _ATTENTION)}"
    return _renamed(name, "encoder.", {"conv_norm_out": "norm_out"})


def _renamed(name: str, start: str, parts: Mapping[str, str]) -> str:
    """The name with another word after its beginning and before its last one, where ``parts`` has one for it."""
    own, _, kind = name.removeprefix(start).rpartition(".")
    return f"{start}{parts[own]}.{kind}" if name.startswith(start) and own in parts else name
