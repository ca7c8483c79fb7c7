"""Checkpoints in the layouts of the projects that the study took them from: their names and shapes, random numbers.

Names and shapes are written down from those projects' own code, around a module of timm's that gives the shapes.
"""

from __future__ import annotations

import re
from typing import Any

import torch

from export.torchvision_ops import import_timm

State = dict[str, torch.Tensor]


def network(architecture: str, **arguments: Any) -> torch.nn.Module:
    """timm's network without a classifier, made by its own function: ``create_model`` leaves out what is None."""
    make = import_timm().model_entrypoint(architecture)
    made: torch.nn.Module = make(**{"num_classes": 0, **arguments})
    return made


def random_state(architecture: str, seed: int = 7, **arguments: Any) -> State:
    """timm's names, with numbers of this seed; statistics are positive."""
    with torch.device("meta"):
        module = network(architecture, **arguments)
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, tensor in module.state_dict().items():
        values = torch.randn(tensor.shape, generator=generator) * 0.02
        if name.endswith(("norm.weight", "norm1.weight", "norm2.weight", "norm3.weight")) or re.search(
            r"bn\d\.weight|downsample\.1\.weight|running_var", name
        ):
            values = 1 + values.abs()
        state[name] = torch.tensor(3) if name.endswith("num_batches_tracked") else values
    return state


def moco_v3(state: State, head: str = "head") -> dict[str, Any]:
    """What main_moco.py saves: both encoders with their projectors, the predictor, the optimizer, the scaler."""
    saved: State = {}
    for number, encoder in enumerate(("base_encoder", "momentum_encoder")):
        saved |= {f"module.{encoder}.{name}": tensor + number for name, tensor in state.items()}
        saved |= {f"module.{encoder}.{head}.{i}.weight": torch.randn(4, 4) for i in (0, 3, 6)}
    saved["module.predictor.0.weight"] = torch.randn(4, 4)
    optimizer = {"state": {0: {"step": 1, "exp_avg": torch.randn(4)}}, "param_groups": [{"lr": 0.1}]}
    return {"epoch": 300, "arch": "vit_small", "state_dict": saved, "optimizer": optimizer, "scaler": {"scale": 1.0}}


def vicreg_full(state: State) -> dict[str, Any]:
    """The whole checkpoint of VICReg: backbone and projector, the optimizer."""
    model = {f"module.backbone.{name}": tensor for name, tensor in state.items()}
    return {"epoch": 1000, "model": {**model, "module.projector.0.weight": torch.randn(4, 4)}, "optimizer": {}}


def vicregl_convnext(state: State) -> State:
    """The names of VICRegL's convnext.py, for a state of timm's with ``norm_pre``."""
    found = {}
    for name, tensor in state.items():
        theirs = re.sub(r"^stem\.", "downsample_layers.0.", name)
        theirs = re.sub(r"^stages\.(\d)\.downsample\.", r"downsample_layers.\1.", theirs)
        theirs = theirs.replace(".blocks.", ".").replace(".conv_dw.", ".dwconv.").replace(".mlp.fc", ".pwconv")
        found[theirs.replace("norm_pre.", "norm.")] = tensor
    return found


def midas(state: State) -> State:
    """The names of MiDaS 3.1: an older timm below ``pretrained.model``, buffers, and the decoder."""
    found: State = {}
    for name, tensor in state.items():
        older = re.sub(r"layers\.(\d)\.downsample", lambda m: f"layers.{int(m[1]) - 1}.downsample", name)
        found[f"pretrained.model.{older.replace('head.fc.', 'head.')}"] = tensor
    found["pretrained.model.layers.0.blocks.1.attn_mask"] = torch.zeros(4, 4, 4)
    found["pretrained.model.layers.0.blocks.0.attn.relative_position_index"] = torch.zeros(4, 4, dtype=torch.long)
    found["pretrained.model.layers.0.blocks.0.attn.relative_coords_table"] = torch.zeros(1, 3, 3, 2)
    return found | {"scratch.layer1_rn.weight": torch.randn(4, 4, 3, 3), "scratch.output_conv.0.bias": torch.randn(4)}


_DPT = [
    ("patch_embed.proj.", "embeddings.patch_embeddings.projection."),
    ("patch_embed.norm.", "embeddings.norm."),
    (".attn.q_bias", ".attention.self.query.bias"),
    (".attn.v_bias", ".attention.self.value.bias"),
    (".attn.cpb_mlp.", ".attention.self.continuous_position_bias_mlp."),
    (".attn.logit_scale", ".attention.self.logit_scale"),
    (".attn.proj.", ".attention.output.dense."),
    (".norm1.", ".layernorm_before."),
    (".norm2.", ".layernorm_after."),
    (".mlp.fc1.", ".intermediate.dense."),
    (".mlp.fc2.", ".output.dense."),
]


def dpt_of_transformers(state: State) -> State:
    """transformers' DPT around a Swin v2: query, key and value apart, neither a last norm nor a classifier."""
    found: State = {}
    for name, tensor in state.items():
        if name.startswith(("norm.", "head.")):
            continue
        theirs = re.sub(r"layers\.(\d)\.downsample", lambda m: f"layers.{int(m[1]) - 1}.downsample", name)
        for ours, other in _DPT:
            theirs = theirs.replace(ours, other)
        start = "backbone." if theirs.startswith("embeddings") else "backbone.encoder."
        if theirs.endswith("attn.qkv.weight"):
            for part, values in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                found[start + theirs.replace("attn.qkv", f"attention.self.{part}")] = values.clone()
        else:
            found[start + theirs] = tensor
    return found | {"neck.convs.0.weight": torch.randn(4, 4, 3, 3), "head.head.0.weight": torch.randn(4, 4, 3, 3)}


def resnet_of_transformers(state: State) -> State:
    """transformers' ResNetModel."""
    found = {}
    for name, tensor in state.items():
        theirs = re.sub(r"^conv1\.", "embedder.embedder.convolution.", name)
        theirs = re.sub(r"^bn1\.", "embedder.embedder.normalization.", theirs)
        theirs = re.sub(r"^layer(\d)\.", lambda m: f"encoder.stages.{int(m[1]) - 1}.layers.", theirs)
        theirs = theirs.replace("downsample.0.", "shortcut.convolution.")
        theirs = theirs.replace("downsample.1.", "shortcut.normalization.")
        theirs = re.sub(r"\.conv(\d)\.", lambda m: f".layer.{int(m[1]) - 1}.convolution.", theirs)
        found[re.sub(r"\.bn(\d)\.", lambda m: f".layer.{int(m[1]) - 1}.normalization.", theirs)] = tensor
    return found


def sscd(state: State, dims: int = 512) -> State:
    """SSCD's files for torchvision: the trunk with its fc below ``backbone``."""
    generator = torch.Generator().manual_seed(3)
    fc = {"fc.weight": torch.randn(dims, 2048, generator=generator), "fc.bias": torch.randn(dims, generator=generator)}
    return {f"backbone.{name}": tensor for name, tensor in {**state, **fc}.items()}


def sscd_classy(state: State, dims: int = 1024) -> State:
    """SSCD's files for Classy Vision: the trunk by its names, and the projection beside it."""
    found: State = {"embeddings.1.weight": torch.randn(dims, 2048), "embeddings.1.bias": torch.randn(dims)}
    inside = {"conv1": 0, "bn1": 1, "conv2": 3, "bn2": 4, "conv3": 6}
    for name, tensor in state.items():
        first, _, rest = name.partition(".")
        if first in ("conv1", "bn1"):
            found[f"backbone.initial_block._module.{'01'[first == 'bn1']}.{rest}"] = tensor
            continue
        stage, block, part, last = int(first[-1]) - 1, *rest.split(".", 2)
        part = "bn" if part == "bn3" else f"convolutional_block.{inside[part]}" if part in inside else part
        found[f"backbone.blocks.{stage}.block{stage}-{block}.{part}.{last}".replace(f"block{stage}-{block}", block)] = (
            tensor
        )
    return found
