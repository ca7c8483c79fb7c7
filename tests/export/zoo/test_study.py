"""The study's rows; and its checkpoints that timm lacks, in their original layouts: strictly loaded, computed a second
way."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import study_checkpoints as made
import torch
from checkpoints import one_thread as one_thread
from torch.nn.functional import layer_norm, normalize

from export.__main__ import main
from export.convert.photographs import photographs
from export.errors import Unavailable, UserError
from export.picture import decode
from export.reference import normalize as normalized
from export.reference import resize_and_crop
from export.store import Store
from export.zoo.backbones import listing, resolve
from export.zoo.loaders import Loaded, eager
from export.zoo.study import HERE, UNTRAINED, rows

TASKS = r"classification|detection|retrieval"


def named(study: str) -> str:
    """What the study calls a row, without the tasks that it used that checkpoint for."""
    plain = re.sub(rf"[;,]? ?({TASKS})(, ({TASKS}))*", "", study)
    return re.sub(r" \((as the study fed it.*)?\)", "", plain)


@pytest.mark.data
def test_every_row_of_the_study_is_listed(shared_data: Path) -> None:
    table = shared_data.parent / "zoo.csv"
    if not table.is_file():
        pytest.skip("no list of the study's rows in ../shared/zoo.csv")
    with table.open(encoding="utf-8") as file:
        wanted = {row["bob_name"] for row in csv.DictReader(file)}
    assert len(wanted) == 43
    missing = wanted - {named(row.study) for row in rows(None)}
    assert not missing
    twice = {row.study for row in rows(None) if row.study.startswith("Supervised ResNet-50 ")}
    assert len(twice) == 2, "what the study has twice under one name is two rows"


def test_a_row_says_what_reads_it_where_it_is_and_what_it_needs(store: Store) -> None:
    found = {row.row: row for row in rows(store)}
    assert set(found) - {"any@random"} == {row.name for row in listing() if row.study}
    moco = found["moco_v3_s"]
    assert (moco.loader, moco.licence, moco.state) == ("layout moco_v3", "cc-by-nc-4.0", "needs URL")
    assert moco.weights.startswith("URL https://dl.fbaipublicfiles.com/moco-v3/")
    assert found["sscd_disc_large"].network == "sscd"
    assert "ResNeXt" in found["sscd_disc_large"].note
    assert found["any@random"].study == UNTRAINED
    assert found["any@random"].state == HERE


def test_a_row_of_ones_own_with_weights_here(store: Store, tmp_path: Path) -> None:
    (tmp_path / "x.pth").write_bytes(b"x")
    zoo = tmp_path / "zoo.yaml"
    zoo.write_text("- {name: x, timm: resnet18, file: x.pth, study: Mine}")
    assert resolve("x", zoo_files=[zoo]).study == "Mine"
    assert next(row for row in rows(store, [zoo]) if row.row == "x").state == HERE


def test_the_command_lists_the_study(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = ["--list", "--study", "--store", str(tmp_path)]
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"MoCo v3 ViT-S", "VICRegL ConvNeXt-XL", UNTRAINED} <= {row["study"] for row in found}
    assert main(arguments) == 0
    printed = capsys.readouterr()
    assert "needs URL" in printed.out
    assert "with weights here" in printed.err
    with pytest.raises(UserError, match="goes with --list"):
        main(["--study"])


VICREGL: dict[str, Any] = {"ls_init_value": None, "head_norm_first": True}
SWIN = "swinv2_tiny_window16_256"


def saved(folder: Path, content: Any, name: str = "original.pth.tar") -> Path:
    torch.save(content, folder / name)
    return folder / name


def loaded(row: str, file: Path, store: Store) -> Loaded:
    return eager(resolve(row, weights=file), store)


def filled(architecture: str, state: made.State, **arguments: Any) -> torch.nn.Module:
    """timm's module, filled by hand."""
    module = made.network(architecture, **arguments)
    module.load_state_dict(state, strict=True)
    return module.eval()


def images(side: int) -> torch.Tensor:
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(5))


@torch.inference_mode()
def same(found: torch.nn.Module, wanted: torch.nn.Module, side: int) -> None:
    torch.testing.assert_close(found(images(side)), wanted(images(side)))


def test_moco_v3_vit_s_is_read_out_of_the_whole_training_state(store: Store, tmp_path: Path) -> None:
    state = made.random_state("vit_small_patch16_224", num_heads=12)
    found = loaded("moco_v3_s", saved(tmp_path, made.moco_v3(state)), store)
    same(found.module, filled("vit_small_patch16_224", state, num_heads=12), 224)
    with torch.inference_mode():
        six_heads = filled("vit_small_patch16_224", state)(images(224))
        assert not torch.allclose(found.module(images(224)), six_heads, atol=1e-3), "heads change the features"
    assert any("layout moco_v3" in note for note in found.notes)
    assert any("tensors of other parts" in note for note in found.notes)
    assert found.preprocess.crop_pct == 0.875


def test_moco_v3_vit_s_of_another_input_size_has_its_positions_resized(store: Store, tmp_path: Path) -> None:
    state = made.random_state("vit_small_patch16_224", num_heads=12)
    backbone = replace(resolve("moco_v3_s", weights=saved(tmp_path, made.moco_v3(state))), size="160x160")
    found = eager(backbone, store)
    assert any("pos_embed is resized" in note for note in found.notes)
    with torch.inference_mode():
        assert found.module(images(160)).shape == (2, 384)


RESNETS: list[tuple[str, Callable[[made.State], Any]]] = [
    ("moco_v3_resnet50", lambda state: made.moco_v3(state, head="fc")),
    ("dino_resnet50", dict),
    ("dino_resnet50", made.resnet_of_transformers),
    ("vicreg_resnet50", dict),
    ("vicreg_resnet50", made.vicreg_full),
    ("vicreg_resnet50", made.resnet_of_transformers),
    ("vicregl_resnet50", dict),
]


@pytest.mark.parametrize(("row", "layout"), RESNETS, ids=lambda value: getattr(value, "__name__", value))
def test_resnets_in_every_layout(row: str, layout: Callable[[made.State], Any], store: Store, tmp_path: Path) -> None:
    state = made.random_state("resnet50")
    found = loaded(row, saved(tmp_path, layout(state)), store)
    same(found.module, filled("resnet50", state), 64)


def test_vicregl_norms_every_position_and_then_averages(store: Store, tmp_path: Path) -> None:
    state = made.random_state("convnext_small", **VICREGL)
    assert "norm_pre.weight" in state
    assert not any("gamma" in name for name in state)
    found = loaded("vicregl_convnext_s", saved(tmp_path, made.vicregl_convnext(state)), store)
    same(found.module, filled("convnext_small", state, **VICREGL), 64)
    with torch.inference_mode():
        pooled_last: Any = made.network("convnext_small", ls_init_value=None).eval()
        pooled_last.load_state_dict({n.replace("norm_pre.", "head.norm."): t for n, t in state.items()}, strict=True)
        positions = pooled_last.stages(pooled_last.stem(images(64))).permute(0, 2, 3, 1)
        normed = layer_norm(positions, (768,), state["norm_pre.weight"], state["norm_pre.bias"], 1e-6)
        features = found.module(images(64))
        torch.testing.assert_close(features, normed.mean((1, 2)), atol=1e-4, rtol=1e-4)
        assert not torch.allclose(features, pooled_last(images(64)), atol=1e-3), "the order of norm and mean matters"


@pytest.mark.slow
def test_vicregl_convnext_xl_loads_in_its_real_size(store: Store, tmp_path: Path) -> None:
    state = made.vicregl_convnext(made.random_state("convnext_xlarge", **VICREGL))
    module = loaded("vicregl_convnext_xl", saved(tmp_path, state), store).module
    assert torch.equal(module.state_dict()["norm_pre.weight"], state["norm.weight"])
    assert sum(p.numel() for p in module.parameters()) == sum(t.numel() for t in state.values())


def test_midas_is_read_under_its_older_names(store: Store, tmp_path: Path) -> None:
    state = made.random_state(SWIN, num_classes=1000)
    file = saved(tmp_path, made.midas(state), "dpt_swin2_tiny_256.pt")
    headless = {name: tensor for name, tensor in state.items() if not name.startswith("head.")}
    same(loaded("midas_swinv2_t", file, store).module, filled(SWIN, headless), 256)
    logits = eager(replace(resolve("midas_swinv2_t", weights=file), output="logits"), store)
    same(logits.module, filled(SWIN, state, num_classes=1000), 256)


def test_the_hubs_midas_has_its_query_key_and_value_joined_and_says_what_it_lacks(store: Store, tmp_path: Path) -> None:
    state = made.random_state(SWIN)
    file = saved(tmp_path, made.dpt_of_transformers(state))
    plain = {**state, "norm.weight": torch.ones(768), "norm.bias": torch.zeros(768)}
    found = loaded("dpt_swinv2_t", file, store)
    same(found.module, filled(SWIN, plain), 256)
    assert any("12 tensors are joined" in note for note in found.notes)
    assert any("norm.weight" in note and "scale 1 and shift 0" in note for note in found.notes)


def test_sscd_pools_by_a_generalised_mean_and_gives_vectors_of_length_one(store: Store, tmp_path: Path) -> None:
    state = made.random_state("resnet50")
    file = made.sscd(state)
    found = loaded("sscd_imagenet_mixup", saved(tmp_path, file, "sscd_imagenet_mixup.torchvision.pt"), store)
    with torch.inference_mode():
        trunk: Any = filled("resnet50", state)
        pooled = trunk.forward_features(images(96)).clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3)
        wanted = normalize(pooled @ file["backbone.fc.weight"].T + file["backbone.fc.bias"])
        torch.testing.assert_close(found.module(images(96)), wanted)
        torch.testing.assert_close(found.module(images(96)).norm(dim=1), torch.ones(2))
        assert found.module.forward_intermediates(images(96))[1][-1].shape == (2, 2048, 3, 3)  # type: ignore[operator]


def test_sscds_large_network_by_classy_visions_names(store: Store, tmp_path: Path) -> None:
    state = made.random_state("resnext101_32x4d")
    file = made.sscd_classy(state)
    module = loaded("sscd_disc_large", saved(tmp_path, file), store).module
    found = module.state_dict()
    assert all(torch.equal(found[f"backbone.{name}"], tensor) for name, tensor in state.items())
    assert torch.equal(found["fc.weight"], file["embeddings.1.weight"])


def test_a_name_that_is_neither_used_nor_dropped_is_named(store: Store, tmp_path: Path) -> None:
    content = made.moco_v3(made.random_state("vit_small_patch16_224", num_heads=12))
    content["state_dict"]["module.base_encoder.neck.weight"] = torch.zeros(3)
    content["ema"] = {"decay": torch.zeros(1)}
    with pytest.raises(UserError, match="2 tensors that are neither used nor listed as dropped") as error:
        loaded("moco_v3_s", saved(tmp_path, content), store)
    assert "ema.decay" in error.value.why
    assert "state_dict.module.base_encoder.neck.weight" in error.value.why


def test_a_checkpoint_of_another_size_is_refused_with_names_and_shapes(store: Store, tmp_path: Path) -> None:
    content = made.moco_v3(made.random_state("vit_tiny_patch16_224"))
    with pytest.raises(UserError, match=r"does not fit(.|\n)*cls_token: 1x1x192, not 1x1x384"):
        loaded("moco_v3_s", saved(tmp_path, content), store)
    with pytest.raises(UserError, match=r"does not fit(.|\n)*layer1"):
        loaded("dino_resnet50", saved(tmp_path, made.random_state("resnet26")), store)


def test_a_missing_part_of_a_joined_tensor_is_named(store: Store, tmp_path: Path) -> None:
    content = made.dpt_of_transformers(made.random_state(SWIN))
    del content["backbone.encoder.layers.1.blocks.0.attention.self.key.weight"]
    with pytest.raises(UserError, match=r"A part of layers.1.blocks.0.attn.qkv.weight is missing"):
        loaded("dpt_swinv2_t", saved(tmp_path, content), store)


def test_a_file_under_the_modules_own_names_is_read_too(store: Store, tmp_path: Path) -> None:
    state = made.random_state("vit_small_patch16_224", num_heads=12)
    found = loaded("moco_v3_s", saved(tmp_path, {"model": state, "epoch": 3}), store)
    same(found.module, filled("vit_small_patch16_224", state, num_heads=12), 224)


def test_a_truncated_checkpoint_and_one_that_would_run_code_get_a_sentence(store: Store, tmp_path: Path) -> None:
    class Runs:
        def __reduce__(self) -> Any:
            return os.system, ("touch ran",)

    whole = saved(tmp_path, made.moco_v3(made.random_state("vit_tiny_patch16_224")))
    whole.write_bytes(whole.read_bytes()[:100_000])
    with pytest.raises(UserError, match="damaged or truncated"):
        loaded("moco_v3_s", whole, store)
    with pytest.raises(UserError, match=r"would run code when loaded(.|\n)*posix.system"):
        loaded("moco_v3_s", saved(tmp_path, {"state_dict": {}, "hook": Runs()}), store)
    assert not Path("ran").exists()


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("row", ["moco_v3_s", "dino_resnet50", "vicreg_resnet50", "midas_swinv2_t", "sscd_disc_mixup"])
def test_the_real_checkpoint_gives_finite_features_that_follow_the_picture(row: str, store: Store) -> None:
    """A flipped photograph is closer than another one, in the features of any trained network."""
    try:
        found = eager(resolve(row), store)
    except Unavailable as error:
        pytest.skip(f"it is not to be had here: {error.why}")
    pixels = np.stack([resize_and_crop(decode(e), found.preprocess) for e in photographs(store)[:8]])
    with torch.inference_mode():
        one, flipped = (
            normalize(found.module(torch.from_numpy(normalized(p, found.preprocess))))
            for p in (pixels, pixels[:, :, ::-1])
        )
    assert bool(one.isfinite().all())
    similar = one @ flipped.T
    assert (similar.argmax(1) == torch.arange(8)).all()
