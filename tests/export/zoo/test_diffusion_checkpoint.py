from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from export.errors import UserError
from export.store import Store
from export.zoo import weights
from export.zoo.backbones import Backbone, resolve
from export.zoo.loaders import Loaded, eager
from export.zoo.readers import StableDiffusion
from export.zoo.sources import Checkpoint, HubFile, LocalFile, ModuleFunction

pytest.importorskip("diffusers", reason="the extra study, which Python 3.10 does not have")
import diffusion_files

TARGET = "export.zoo.diffusion:stable_diffusion_1_4"
State = dict[str, torch.Tensor]


def small(file: Path, **arguments: int) -> Backbone:
    source = ModuleFunction(TARGET, Checkpoint(LocalFile(file), StableDiffusion()), diffusion_files.SMALL | arguments)
    return Backbone("small", source, {"height": 64, "width": 64})


@pytest.fixture
def loaded(store: Store, tmp_path: Path) -> Callable[[State], Loaded]:
    """Loads a state as a file of torch.save, as the original project writes it."""

    def load(state: State) -> Loaded:
        torch.save({"epoch": 3, "global_step": 470000, "state_dict": state}, tmp_path / "sd.ckpt")
        return eager(small(tmp_path / "sd.ckpt"), store)

    return load


def pixels(n: int = 2) -> torch.Tensor:
    return torch.rand(n, 3, 64, 64, generator=torch.Generator().manual_seed(2)) * 2 - 1


def features_of(loaded: Loaded) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = loaded.module(pixels())
    return found


def agrees(loaded: Loaded) -> None:
    torch.testing.assert_close(features_of(loaded), diffusion_files.features(pixels()), rtol=1e-4, atol=1e-4)


def test_the_original_file_gives_what_the_whole_network_has_in_its_middle(loaded: Callable[[State], Loaded]) -> None:
    found = loaded(diffusion_files.original())
    agrees(found)
    torch.testing.assert_close(found.module.text, diffusion_files.text(), rtol=1e-4, atol=1e-4)
    assert any("tensors of other parts (betas" in note for note in found.notes)


def test_the_same_as_safetensors(store: Store, tmp_path: Path) -> None:
    save_file(diffusion_files.original(), tmp_path / "sd.safetensors")
    agrees(eager(small(tmp_path / "sd.safetensors"), store))


def test_half_precision_is_read_as_float32(store: Store, tmp_path: Path) -> None:
    half = {k: v.half() if v.is_floating_point() else v for k, v in diffusion_files.original().items()}
    save_file(half, tmp_path / "sd.safetensors")
    found = eager(small(tmp_path / "sd.safetensors"), store)
    assert any("tensors are float16, and are read as float32" in note for note in found.notes)
    similar = torch.cosine_similarity(features_of(found), diffusion_files.features(pixels()))
    assert similar.min() > 0.999


def test_the_folder_of_diffusers(store: Store, tmp_path: Path) -> None:
    folder = diffusion_files.folder(tmp_path / "sd")
    agrees(eager(small(folder), store))
    before = weights.digest(small(folder), store)
    (folder / "README.md").write_text("not read")
    assert weights.digest(small(folder), store) == before
    with (folder / "vae" / "diffusion_pytorch_model.safetensors").open("ab") as file:
        file.write(b" ")
    assert weights.digest(small(folder), store) != before


def test_an_average_of_the_unet_is_used_where_there_is_one(loaded: Callable[[State], Loaded]) -> None:
    state = diffusion_files.original()
    averaged = {
        f"model_ema.{name.removeprefix('model.').replace('.', '')}": tensor
        for name, tensor in state.items()
        if name.startswith("model.")
    }
    other = {name: tensor + 1 if name.startswith("model.") else tensor for name, tensor in state.items()}
    agrees(loaded({**other, **averaged, "model_ema.decay": torch.tensor(0.9999)}))


def test_version_2_is_refused_by_its_shapes(store: Store, tmp_path: Path) -> None:
    save_file(diffusion_files.original(context=96), tmp_path / "sd2.safetensors")
    with pytest.raises(UserError, match="does not fit small") as error:
        eager(small(tmp_path / "sd2.safetensors"), store)
    assert "14 of " in error.value.why  # keys and values of the text in seven transformers
    key = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
    assert f"{key}: 32x96, not 32x64" in error.value.why


def without(start: str) -> State:
    return {name: tensor for name, tensor in diffusion_files.original().items() if not name.startswith(start)}


def test_a_missing_or_broken_text_tower_gets_a_sentence(loaded: Callable[[State], Loaded]) -> None:
    with pytest.raises(UserError, match=r"The text tower of the checkpoint sd\.ckpt is not there") as error:
        loaded(without("cond_stage_model."))
    assert "'image classification'" in error.value.why
    assert "text_encoder" in error.value.remedy
    with pytest.raises(UserError, match="is not whole") as error:
        loaded(without(f"{diffusion_files.TEXT}encoder.layers.11."))
    assert f"16 of its tensors are missing ({diffusion_files.TEXT}encoder.layers.11." in error.value.why


def test_missing_unknown_and_broken_tensors_are_named(loaded: Callable[[State], Loaded]) -> None:
    key = "first_stage_model.encoder.mid.attn_1.q.weight"
    with pytest.raises(UserError, match="does not fit small") as error:
        loaded(without(key))
    assert f"1 of 406 tensors are missing ({key})" in error.value.why
    with pytest.raises(UserError, match="what Stable Diffusion 1 does not have") as error:
        loaded({**diffusion_files.original(), "control_model.zero.weight": torch.zeros(3)})
    assert "1 tensors have no place in it (control_model.zero.weight)" in error.value.why
    key = "model.diffusion_model.middle_block.0.in_layers.0.bias"
    with pytest.raises(UserError, match="holds NaN"):
        loaded({**diffusion_files.original(), key: torch.full((128,), torch.nan)})
    with pytest.raises(UserError, match="is not of Stable Diffusion") as error:
        loaded({"conv1.weight": torch.zeros(3)})
    assert "conv1.weight" in error.value.why


def test_what_is_no_such_checkpoint_is_told_apart(store: Store, tmp_path: Path) -> None:
    folder = diffusion_files.folder(tmp_path / "sd")
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:100_000])
    with pytest.raises(UserError, match="damaged or truncated"):
        eager(small(folder), store)
    file.unlink()
    with pytest.raises(UserError, match="is not of Stable Diffusion"):
        eager(small(folder), store)
    with pytest.raises(UserError, match="is a folder of diffusers', and not a PyTorch checkpoint"):
        eager(resolve("resnet18", weights=folder), store)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="is a folder, not a file"):
        resolve("stable_diffusion_1_4", weights=tmp_path / "empty")


def test_another_module_has_no_place_for_it(store: Store, tmp_path: Path) -> None:
    save_file(diffusion_files.original(), tmp_path / "sd.safetensors")
    source = ModuleFunction(
        "export.zoo.squeezenet:squeezenet1_1", Checkpoint(LocalFile(tmp_path / "sd.safetensors"), StableDiffusion())
    )
    with pytest.raises(UserError, match="is not Stable Diffusion's encoder"):
        eager(Backbone("other", source), store)


def test_the_rows_name_the_hubs_file_and_take_another(tmp_path: Path) -> None:
    for name in ("stable_diffusion_1_4", "stable_diffusion_1_4_study"):
        row = resolve(name)
        assert not row.untrained
        assert Backbone.of_json(row.as_json()) == row
        original = HubFile("CompVis/stable-diffusion-v-1-4-original", "sd-v1-4.ckpt")
        assert isinstance(row.source, ModuleFunction)
        assert row.source.weights == Checkpoint(original, StableDiffusion())
        folder = diffusion_files.folder(tmp_path / "sd")
        mine = resolve(name, weights=folder)
        assert isinstance(mine.source, ModuleFunction)
        assert mine.source.weights == Checkpoint(LocalFile(folder), StableDiffusion())
        assert Backbone.of_json(mine.as_json()) == mine
        assert resolve(f"{name}@random").untrained
