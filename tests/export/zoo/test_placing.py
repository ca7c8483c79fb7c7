"""From a checkpoint as people save it to a network that computes what it computed where it was trained."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import RESNET, VIT, State, backbone, features, images, network, one_thread, state
from safetensors.torch import save_file

from export.errors import UserError
from export.store import Store
from export.zoo import checkpoint, placing
from export.zoo.loaders import Loaded, eager
from export.zoo.readers import ByName, InOrder
from export.zoo.sources import TimmModel

__all__ = ["one_thread"]


def saved(content: Any, folder: Path) -> Path:
    torch.save(content, folder / "net.pth")
    return folder / "net.pth"


def prefixed(prefix: str, tensors: State) -> State:
    return OrderedDict((prefix + name, tensor) for name, tensor in tensors.items())


def load(content: Any, store: Store, name: str = RESNET, **how: Any) -> Loaded:
    """The network from a checkpoint with this content."""
    return eager(backbone(saved(content, store.root.parent), name=name, **how), store)


def computes(loaded: Loaded, wanted: torch.Tensor) -> None:
    with torch.inference_mode():
        torch.testing.assert_close(loaded.module(images()), wanted)


def notes(loaded: Loaded) -> str:
    return "; ".join(loaded.notes)


HEAD = "left out: its classifier (fc.weight, fc.bias)"
WRAPPED: dict[str, tuple[Callable[[State], Any], str]] = {
    "plain": (lambda s: s, HEAD),
    "headless": (lambda s: {k: v for k, v in s.items() if not k.startswith("fc.")}, ""),
    "no counts": (lambda s: {k: v for k, v in s.items() if not k.endswith("num_batches_tracked")}, HEAD),
    "DataParallel": (lambda s: prefixed("module.", s), "the prefix 'module.' is stripped"),
    "Lightning": (
        lambda s: {"state_dict": prefixed("model.", s), "epoch": 3, "pytorch-lightning_version": "2.0"},
        "its weights are read from 'state_dict'; the prefix 'model.' is stripped",
    ),
    "compiled": (lambda s: prefixed("_orig_mod.", s), "'_orig_mod.' is taken out of its names"),
    "compiled inside": (
        lambda s: {k.replace("layer1.", "layer1._orig_mod."): v for k, v in s.items()},
        "'_orig_mod.' is taken out of its names",
    ),
    "twice": (lambda s: {"model": prefixed("module.backbone.", s)}, "the prefix 'module.backbone.' is stripped"),
    "three levels": (lambda s: {"a": {"b": {"c": s}}}, "its weights are read from 'a.b.c'"),
    "timm's training": (
        lambda s: {"epoch": 3, "arch": "x", "state_dict": s, "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}}},
        "left out: optimizer (1 tensor)",
    ),
    "the key module": (lambda s: {"module": OrderedDict(s)}, "its weights are read from 'module'"),
    "any key": (lambda s: {"weights_of_mine": s}, "its weights are read from 'weights_of_mine'"),
    "average": (
        lambda s: {"state_dict": state(seed=9), "state_dict_ema": s},
        "'state_dict_ema' is used where 'state_dict' would fit too",
    ),
    "average, the other order": (
        lambda s: {"model_ema": s, "model": state(seed=9)},
        "'model_ema' is used where 'model' would fit too",
    ),
    "DINO": (
        lambda s: {"student": prefixed("module.backbone.", state(seed=9)), "teacher": prefixed("backbone.", s)},
        "'teacher.backbone' is used where 'student.module.backbone' would fit too",
    ),
    "MoCo": (
        lambda s: {"state_dict": prefixed("module.encoder_q.", s) | prefixed("module.encoder_k.", state(seed=9))},
        "'state_dict.module.encoder_q' is used where 'state_dict.module.encoder_k' would fit too",
    ),
    "the same twice": (lambda s: {"model": s, "best": dict(s)}, "left out: model (92 tensors)"),
    "beside a decoder": (
        lambda s: prefixed("encoder.", s) | {"decoder.w": torch.ones(2)},
        "left out: decoder",
    ),
    "a tuple": (lambda s: (s, {"lr": 0.1}), "its weights are read from '0'"),
    "arrays": (lambda s: {k: v.numpy() for k, v in s.items()}, HEAD),
    "parameters": (lambda s: {k: torch.nn.Parameter(v, requires_grad=False) for k, v in s.items()}, HEAD),
    "another classifier": (lambda s: {**s, "fc.weight": torch.ones(7, 256), "fc.bias": torch.ones(7)}, HEAD),
    "double": (
        lambda s: {k: v.double() if v.is_floating_point() else v for k, v in s.items()},
        "are float64",
    ),
    "sparse": (
        lambda s: {**s, "conv1.0.weight": s["conv1.0.weight"].to_sparse()},
        "1 sparse tensors are read",
    ),
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_a_checkpoint_is_found_below_whatever_it_is_wrapped_in(store: Store, kind: str) -> None:
    wrap, says = WRAPPED[kind]
    loaded = load(wrap(state()), store, reader=ByName() if kind in ("sparse", "twice", "average") else None)
    computes(loaded, features())
    assert says in notes(loaded)


def test_half_precision_is_read_and_said(store: Store) -> None:
    half = {k: v.half() if v.is_floating_point() else v for k, v in state().items()}
    loaded = load(half, store)
    assert "are float16, and are read as float32" in notes(loaded)
    assert all(torch.equal(v, half[k].float()) for k, v in loaded.module.named_parameters())


def test_shared_tensors_and_what_a_row_says_of_classes(store: Store) -> None:
    seven = {**state(), "fc.weight": torch.ones(7, 256), "fc.bias": torch.ones(7)}
    computes(load(seven, store, classes=7), features())
    with pytest.raises(UserError, match=r"has 7 classes, not 8"):
        load(seven, store, classes=8)


def test_position_embeddings_of_another_size_are_resized_as_timm_does_and_said(store: Store) -> None:
    from timm.layers.pos_embed import resample_abs_pos_embed

    larger = state(VIT, img_size=224)
    loaded = load(larger, store, VIT)
    assert "pos_embed is resized from 1x197x64 to 1x101x64" in loaded.notes
    wanted = resample_abs_pos_embed(larger["pos_embed"], [10, 10], num_prefix_tokens=1)
    torch.testing.assert_close(loaded.module.state_dict()["pos_embed"], wanted)
    with pytest.raises(UserError, match=r"pos_embed: 1x197x64, not 1x101x64"):
        load(larger, store, VIT, reader=ByName())


def test_names_that_timm_converts_are_accounted_for(store: Store) -> None:
    """OpenAI's CLIP: other names, some of them for the same tensors, and a text tower that is not used."""
    names = {"norm_pre": "ln_pre", "norm": "ln_post", "attn.qkv.": "attn.in_proj_", "attn.proj": "attn.out_proj"}
    names |= {"norm1": "ln_1", "norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}
    wanted = state(VIT, pre_norm=True, class_token=True)
    clip: State = {"text_projection": torch.ones(3), "visual.proj": torch.ones(64, 8)}
    for name, tensor in wanted.items():
        new = name.replace("blocks.", "transformer.resblocks.")
        for ours, theirs in names.items():
            new = new.replace(f"{ours}." if ours[-1] != "." else ours, f"{theirs}." if ours[-1] != "." else theirs)
        if name == "cls_token":
            new, tensor = "class_embedding", tensor[0, 0]
        elif name == "pos_embed":
            new, tensor = "positional_embedding", tensor[0]
        elif name.startswith("patch_embed.proj"):
            new = "conv1.weight"
        if not name.startswith("head"):
            clip[f"visual.{new}"] = tensor
    mine = backbone(saved(clip, store.root.parent), name=VIT)
    assert isinstance(mine.source, TimmModel)
    loaded = eager(replace(mine, source=replace(mine.source, arguments={"pre_norm": True})), store)
    for name, tensor in loaded.module.state_dict().items():
        torch.testing.assert_close(tensor, wanted[name])
    assert "text_projection (1 tensor)" in notes(loaded)
    assert "tensors have another name in it" in notes(loaded)


def quantised(tensor: torch.Tensor) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8)


BROKEN: dict[str, tuple[Callable[[State], Any], str]] = {
    "NaN": (lambda s: {**s, "conv1.0.weight": s["conv1.0.weight"] * torch.nan}, r"conv1\.0\.weight of .* holds NaN"),
    "Inf": (lambda s: {**s, "bn1.running_var": s["bn1.running_var"] / 0}, r"bn1\.running_var of .* holds Inf"),
    "double that overflows": (lambda s: {**s, "bn1.weight": s["bn1.weight"].double() * 1e300}, "holds Inf"),
    "int8": (
        lambda s: {**s, "conv1.0.weight": s["conv1.0.weight"].to(torch.int8)},
        "is int8",
    ),
    "float8": (lambda s: {**s, "bn1.weight": s["bn1.weight"].to(torch.float8_e4m3fn)}, "is float8_e4m3fn"),
    "complex": (lambda s: {**s, "bn1.weight": s["bn1.weight"].to(torch.complex64)}, "is complex64"),
    "bool": (lambda s: {**s, "bn1.weight": s["bn1.weight"] > 0}, "is bool"),
    "quantised": (lambda s: {**s, "bn1.weight": quantised(s["bn1.weight"])}, r"is quantised \(qint8\)"),
    "meta": (lambda s: {**s, "bn1.weight": s["bn1.weight"].to("meta")}, "has no numbers for bn1.weight"),
    "a tensor short": (
        lambda s: {k: v for k, v in s.items() if k != "bn1.weight"},
        r"1 of \d+ tensors are missing",
    ),
    "a shape": (lambda s: {**s, "bn1.weight": torch.ones(3)}, r"another shape \(bn1.weight: 3, not"),
    "one channel": (
        lambda s: {**s, "conv1.0.weight": s["conv1.0.weight"][:, :1]},
        "16x1x3x3, not 16x3x3x3",
    ),
    "a deeper network": (
        lambda s: s | {k.replace("layer1.0", "layer1.1"): v for k, v in s.items() if k.startswith("layer1.0")},
        r"that the network does not have \(layer1\.1\.",
    ),
    "another network": (lambda s: state(VIT), "None of its names is the network's"),
    "two that fit": (
        lambda s: {"best": s, "last": state(seed=9)},
        r"'state_dict\.best', 'state_dict\.last'",
    ),
    "no running statistics": (
        lambda s: {name: value for name, value in s.items() if ".running_" not in name},
        r"tensors are missing(.|\n)*Try: save state_dict\(\)",
    ),
    "half of it": (lambda s: dict(list(s.items())[: len(s) // 2]), "tensors are missing"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_checkpoint_that_is_not_this_network_or_no_numbers_is_refused(store: Store, kind: str) -> None:
    change, says = BROKEN[kind]
    with pytest.raises(UserError, match=says):
        load({"state_dict": change(state())}, store)


def test_a_prefix_that_a_row_names_is_used_by_every_reader_that_has_one(store: Store) -> None:
    both = {"best": state(), "last": state(seed=9), "flat_net": prefixed("net_", state())}
    for how in ({"prefix": "best."}, {"prefix": "best"}, {"reader": ByName("best.")}, {"prefix": "net_"}):
        loaded = load(both, store, **how)
        computes(loaded, features())
        assert "left out" in notes(loaded)
    computes(load({"a": prefixed("a.a.", state())}, store, prefix="a.a."), features())
    for how in ({"prefix": "third."}, {"reader": ByName("third.")}):
        with pytest.raises(UserError, match=r"No tensor of .* has the prefix 'third\.'"):
            load(both, store, **how)


def test_in_order_needs_no_names_and_finds_its_mapping(store: Store) -> None:
    renamed = {f"x{i}": v for i, v in enumerate(v for k, v in state().items() if "num_batches" not in k)}
    loaded = load({"optimizer": {"m": torch.ones(3)}, "net": renamed}, store, reader=InOrder())
    computes(loaded, features())
    assert "its weights are read from 'net'; left out: optimizer (1 tensor)" in notes(loaded)
    save_file(renamed, store.root.parent / "net.pth")
    with pytest.raises(UserError, match="cannot be read in order"):
        eager(backbone(store.root.parent / "net.pth", InOrder()), store)
    with pytest.raises(UserError, match=r"In order: \d+ of \d+ tensors are missing"):
        load(dict(list(renamed.items())[:4]), store, reader=InOrder())
    with pytest.raises(UserError, match=r"In order: 2 are too many \(y, z\)"):
        load({**renamed, "y": torch.ones(1), "z": torch.ones(1)}, store, reader=InOrder())


def test_every_tensor_is_used_or_named(tmp_path: Path) -> None:
    content = {"model": prefixed("module.", state()), "optimizer": {"a": torch.ones(2)}, "n_averaged": torch.tensor(3)}
    contents = checkpoint.read(saved(content, tmp_path))
    module = network(seed=2)
    placed = placing.by_name(module, contents, "", "a test")
    assert set(placed.used) == {f"model.module.{name}" for name in state()}
    assert set(placed.left_out) == {"optimizer.a", "n_averaged"}
    network.cache_clear()


def test_a_module_of_ones_own_takes_what_fits_its_names(tmp_path: Path) -> None:
    net = torch.nn.Sequential(OrderedDict(stem=torch.nn.Conv2d(3, 4, 3), last=torch.nn.Linear(4, 2)))
    wanted = {k: torch.rand_like(v) for k, v in net.state_dict().items()}
    save_file(prefixed("model.net.", wanted), tmp_path / "net.bin")
    placed = placing.by_name(net, checkpoint.read(tmp_path / "net.bin"), "", "a test")
    assert all(torch.equal(v, wanted[k]) for k, v in net.state_dict().items())
    assert placed.notes == ("the prefix 'model.net.' is stripped",)
