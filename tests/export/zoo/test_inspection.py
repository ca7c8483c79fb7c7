"""What an unknown file is, and which backbones it fits."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import study_checkpoints as made
import torch
from checkpoints import RESNET, state
from checkpoints import one_thread as one_thread
from safetensors.torch import save_file

from export.__main__ import main
from export.errors import UserError
from export.store import Store
from export.zoo import inspection
from export.zoo.backbones import listing
from export.zoo.inspection import Folded, folded, inspected

SOME = ("vit_s", "dino_s", "moco_v3_s", "moco_v3_b", "resnet50", "resnet50_tv", "dino_resnet50", "sscd_disc_mixup")


@pytest.fixture(autouse=True)
def _small_zoo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some rows of the real zoo: making all its networks takes most of a minute."""
    rows = [row for row in listing() if row.name in SOME]
    monkeypatch.setattr(inspection, "listing", lambda zoo: [*rows, *listing(zoo)[len(listing()) :]])


def test_the_layouts_own_row_comes_first(store: Store, tmp_path: Path) -> None:
    content = made.moco_v3(made.random_state("vit_small_patch16_224", num_heads=12))
    torch.save(content, tmp_path / "unknown.bin")
    found = inspected(tmp_path / "unknown.bin", store)
    assert found.fits[0].rows == ("moco_v3_s",)
    assert found.fits[0].used == 150
    assert {"optimizer.state.0.exp_avg", "state_dict.module.predictor.0.weight"} < set(found.fits[0].left_out)
    assert ("vit_s", "dino_s") in [fit.rows for fit in found.fits], "rows of one network are one line"
    assert "moco_v3_b" not in {name for fit in found.fits for name in fit.rows}
    assert {"arch", "epoch"} < set(found.others)
    assert Folded("state_dict.module.base_encoder.blocks.0…11.norm1.bias", (384,), "float32", 12) in found.folded
    again = json.loads(json.dumps(found.as_json()))
    assert len(again["tensors"]) == len(found.tensors) == 150 * 2 + 6 + 2


def test_a_resnet_fits_several_rows(store: Store, tmp_path: Path) -> None:
    save_file(made.random_state("resnet50"), tmp_path / "x.safetensors")
    found = inspected(tmp_path / "x.safetensors", store)
    assert {name for fit in found.fits for name in fit.rows} == {"resnet50", "resnet50_tv", "dino_resnet50"}
    assert all(fit.left_out == () for fit in found.fits)


def test_where_nothing_fits_the_closest_is_named_with_its_reason(store: Store, tmp_path: Path) -> None:
    content = made.random_state("resnet50")
    del content["layer4.2.conv3.weight"]
    torch.save(content, tmp_path / "x.pth")
    found = inspected(tmp_path / "x.pth", store)
    assert found.fits == ()
    assert "layer4.2.conv3.weight" in found.closest[0].why
    torch.save(state(RESNET), tmp_path / "y.pth")
    strange = inspected(tmp_path / "y.pth", store)
    assert (strange.fits, strange.closest) == ((), ())


def test_what_fits_is_what_loads(store: Store, tmp_path: Path) -> None:
    """A comparison by names and shapes promises what the export does."""
    from export.zoo.backbones import resolve
    from export.zoo.loaders import eager

    torch.save(made.sscd(made.random_state("resnet50")), tmp_path / "x.pth")
    found = inspected(tmp_path / "x.pth", store)
    assert found.fits[0].rows == ("sscd_disc_mixup",)
    for fit in found.fits:
        assert eager(resolve(fit.rows[0], weights=tmp_path / "x.pth"), store).notes == fit.notes


def test_the_command_prints_all_of_it(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.pth"
    torch.save({"model": made.random_state("resnet50"), "ema": {"w": torch.zeros(2)}, "args": 3}, file)
    arguments = ["--inspect", str(file), "--store", str(store.root)]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    for words in (
        "model.layer1.1…2.conv1.weight",
        "a file of torch.save",
        "args",
        "bob export dino_resnet50 --weights",
        "ema",
    ):
        assert words in printed, words
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fits"][0]["rows"][0] in SOME


def test_numbers_in_names_are_folded_where_they_stand_alone() -> None:
    tensors: dict[str, tuple[tuple[int, ...], str]] = {
        f"layer{i}.{j}.w": ((2,), "float32") for i in (1, 2) for j in (0, 1)
    }
    assert list(folded(tensors)) == [
        Folded("layer1.0…1.w", (2,), "float32", 2),
        Folded("layer2.0…1.w", (2,), "float32", 2),
    ]


def test_what_is_no_checkpoint_gets_a_sentence(store: Store, tmp_path: Path) -> None:
    class Runs:
        def __reduce__(self) -> Any:
            return os.system, ("touch ran",)

    file = tmp_path / "x.pth"
    torch.save(made.random_state("resnet18"), file)
    whole = file.read_bytes()
    for content, says in (
        (b"", "damaged or truncated"),
        (whole[: len(whole) // 2], "damaged or truncated"),
        (b"<!doctype html><html>log in</html>", "is a web page"),
        (b"just a note", "is a text that begins"),
    ):
        file.write_bytes(content)
        with pytest.raises(UserError, match=says):
            inspected(file, store)
    torch.save({"hook": Runs()}, file)
    with pytest.raises(UserError, match="would run code when loaded"):
        inspected(file, store)
    with pytest.raises(UserError, match="does not exist"):
        inspected(tmp_path / "gone.pth", store)
    assert not Path("ran").exists()
