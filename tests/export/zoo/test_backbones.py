from __future__ import annotations

from pathlib import Path

import pytest

from export.errors import UserError
from export.zoo.backbones import listing, resolve
from export.zoo.sources import LocalFile, TimmCheckpoint, TimmModel, hub_of

ALIASES = [
    "vit_t",
    "vit_s",
    "vit_b",
    "vit_l",
    "convnext_t",
    "convnext_b",
    "dinov2_s",
    "dinov2_b",
    "resnet18",
    "resnet50",
]


@pytest.mark.parametrize("name", ALIASES)
def test_short_names_resolve(name: str) -> None:
    assert resolve(name).timm


def test_a_timm_id_finds_its_row_and_any_other_id_is_taken() -> None:
    assert resolve("vit_base_patch16_224.dino").name == "dino_b"
    other = resolve("resnet26.bt_in1k")
    assert (other.timm, other.untrained) == ("resnet26.bt_in1k", False)


@pytest.mark.parametrize(("name", "near"), [("resnet26.bt_in2k", "resnet26.bt_in1k"), ("nosuch.x", "Available")])
def test_an_id_that_timm_does_not_know_gets_a_sentence(name: str, near: str) -> None:
    with pytest.raises(UserError, match=f"Unknown backbone(.|\n)*{near}"):
        resolve(name)


def test_the_pooling_that_a_row_names_is_told() -> None:
    assert resolve("vit_s14_focus").feature == "class token, after the last norm"
    assert resolve("resnet50").feature == "pooled, before the classifier"


def test_random_is_marked_untrained() -> None:
    backbone = resolve("vit_b@random")
    assert backbone.untrained
    assert backbone.name == "vit_b@random"
    assert backbone.weights == "random"


def test_unknown_names_get_neighbours() -> None:
    with pytest.raises(UserError, match="vit_b"):
        resolve("vit-b")


def test_one_row_is_one_checkpoint() -> None:
    rows = listing()
    hub = [r.timm for r in rows if hub_of(r.source)]
    assert len(hub) == len(set(hub)), "two rows for one checkpoint"
    assert len({r.name for r in rows}) == len(rows)
    assert all(r.licence and r.family and r.pretrain_algo and r.pretrain_data for r in rows)


def test_every_row_of_the_zoo_is_known_to_timm() -> None:
    from export.torchvision_ops import import_timm

    timm = import_timm()
    known = {*timm.list_pretrained(), *timm.list_models()}
    assert [r.timm for r in listing() if r.timm and r.timm not in known] == []


@pytest.mark.data
def test_every_checkpoint_of_the_study_that_timm_has_is_in_the_zoo(shared_data: Path) -> None:
    import csv
    import re

    with (shared_data.parent / "zoo.csv").open() as file:
        wanted = {i for row in csv.DictReader(file) for i in re.findall(r"\w+\.[a-z]\w+", row["timm_id_today"])}
    assert wanted
    assert wanted - {r.timm for r in listing()} == set()


def test_rows_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine.pth").write_bytes(b"x")
    zoo = tmp_path / "zoo.yaml"
    zoo.write_text("- {name: mine, timm: resnet18.a1_in1k, file: mine.pth, licence: mine}\n")
    row = resolve("mine", zoo_files=[zoo])
    assert row.source == TimmModel("resnet18.a1_in1k", TimmCheckpoint(LocalFile((tmp_path / "mine.pth").resolve())))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1", "not a zoo file"),
        ("- {name: x, tim: resnet18}", "timm"),
        ("- {name: x}", "names nothing to load"),
        ("- {name: x, timm: a}\n- {name: x, timm: b}", "twice"),
        ("- {name: x, timm: a, file: gone.pth}", "does not exist"),
        ("- {name: x, package: {name: p}}", "is incomplete"),
        ("- {name: x, timm: a, module: b:c}", "cannot have timm"),
        ("- {name: x, timm: a, cut: Softmax, prefix: p.}", "cannot have prefix, cut"),
        ("- {name: x, timm: a, reader: backwards}", "cannot have reader"),
        ("- {name: x, timm: a, reader: onnx}", "names no ONNX file"),
        ("- [", "not YAML"),
    ],
)
def test_a_wrong_zoo_file_gets_a_sentence(tmp_path: Path, text: str, says: str) -> None:
    zoo = tmp_path / "zoo.yaml"
    zoo.write_text(text)
    with pytest.raises(UserError, match=says):
        resolve("x", zoo_files=[zoo])


def test_a_missing_checkpoint_or_onnx_file_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        resolve("vit_b", weights=tmp_path / "gone.pth")
    with pytest.raises(UserError, match="does not exist"):
        resolve(str(tmp_path / "gone.onnx"))


def test_a_finished_file_needs_its_preprocessing(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"x")
    with pytest.raises(UserError, match="comes without its preprocessing") as error:
        resolve(str(tmp_path / "net.onnx"))
    assert "net.yaml" in error.value.remedy
