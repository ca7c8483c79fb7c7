from __future__ import annotations

from pathlib import Path

import pytest

from export.errors import UserError
from export.zoo.backbones import listing, resolve, resolve_all
from export.zoo.sources import LocalFile, OnnxFile, TimmCheckpoint, TimmModel, hub_of

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
        ("- {name: x, timm: a, timm: b}", "'timm' is given twice"),
        ("- {name: 'a b', timm: a}", "names a row 'a b'"),
        ("- {name: 'a:b', timm: a}", "names a row 'a:b'"),
        ("- {name: 7, timm: a}", "names a row 7"),
        ("- {name: x.onnx, timm: a}", "names a row 'x.onnx'"),
        ("- {name: x, timm: a, headless: 'no'}", "The field headless .* is 'no'"),
        ("- {name: x, timm: a, classes: ten}", "must be a whole number"),
        ("- {name: x, timm: a, arguments: 3}", "must be a mapping"),
        ("- {name: x, timm: [a]}", "must be a text"),
        ("- {name: x, timm: a, file: .}", "is a folder, not a file"),
        ("- {name: resnet50, timm: a}", "names 'resnet50', which another row is called"),
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


def onnx_files(folder: Path, *names: str, name: str = "") -> list[str]:
    """Finished files at these places, with what belongs beside them."""
    for one in names:
        (folder / one).parent.mkdir(parents=True, exist_ok=True)
        (folder / one).write_bytes(b"x")
        given = f"name: {name}\n" if name else ""
        (folder / one).with_suffix(".yaml").write_text(f"{given}preprocess: {{height: 64, width: 64}}\n")
    return [str(folder / one) for one in names]


def test_files_of_one_name_are_called_by_their_folders(tmp_path: Path) -> None:
    one, two = onnx_files(tmp_path, "run1/model.onnx", "run2/model.onnx")
    assert resolve(one).name == "run1/model"
    for asked in ([one, two], [two, one], [one, two, one]):
        assert {b.name for b in resolve_all(asked)} == {"run1/model", "run2/model"}
    (deep,) = onnx_files(tmp_path, "other/run1/model.onnx")
    names = {b.name: b.source for b in resolve_all([one, two, deep])}
    assert set(names) == {f"{tmp_path.name}/run1/model", "run2/model", "other/run1/model"}
    assert names["other/run1/model"] == OnnxFile(LocalFile(Path(deep)))


def test_checkpoints_of_one_name_are_called_by_their_folders(tmp_path: Path) -> None:
    for run in ("run1", "run2"):
        (tmp_path / run).mkdir()
        (tmp_path / run / "model_best.pth.tar").write_bytes(b"x")
    first, second = (tmp_path / run / "model_best.pth.tar" for run in ("run1", "run2"))
    assert resolve("resnet18", weights=first).name == "resnet18@run1/model_best"
    assert resolve("nets:tiny", weights=second).name == "nets:tiny@run2/model_best"
    found = resolve_all(["resnet18", "resnet34"], weights={"resnet18": first, "resnet34": second})
    assert [b.name for b in found] == ["resnet18@run1/model_best", "resnet34@run2/model_best"]


def test_a_name_is_the_same_from_every_folder_it_is_given_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (whole,) = onnx_files(tmp_path, "run1/model.onnx")
    monkeypatch.chdir(tmp_path / "run1")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve("model.onnx") == resolve("../run1/model.onnx") == resolve("~/run1/model.onnx") == resolve(whole)
    assert len(resolve_all(["model.onnx", whole])) == 1


def test_one_backbone_under_two_names_is_one_and_two_under_one_are_refused(tmp_path: Path) -> None:
    assert [b.name for b in resolve_all(["dino_b", "vit_base_patch16_224.dino"])] == ["dino_b"]
    with pytest.raises(UserError, match=r"Two backbones have the name 'mine'(.|\n)*a\.onnx(.|\n)*b\.onnx"):
        resolve_all(onnx_files(tmp_path, "a.onnx", "b.onnx", name="mine"))
    for one in ("1", "2"):
        (tmp_path / f"{one}.yaml").write_text(f"- {{name: mine, timm: resnet{one}8}}")
    with pytest.raises(UserError, match="which another row is called"):
        resolve("mine", zoo_files=[tmp_path / "1.yaml", tmp_path / "2.yaml"])


def test_weights_that_would_be_ignored_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.pth").write_bytes(b"x")
    (file,) = onnx_files(tmp_path, "net.onnx")
    for name, says in (("resnet18@random", "has random weights"), (file, "takes no other weights")):
        with pytest.raises(UserError, match=says):
            resolve(name, weights=tmp_path / "mine.pth")


@pytest.mark.parametrize("field", ["file: other.onnx", "timm: resnet18", "reader: named", "prefix: a."])
def test_a_sidecar_is_about_its_own_file(tmp_path: Path, field: str) -> None:
    (file,) = onnx_files(tmp_path, "net.onnx")
    sidecar = tmp_path / "net.yaml"
    sidecar.write_text(f"{sidecar.read_text()}{field}\n")
    with pytest.raises(UserError, match="Unknown field"):
        resolve(file)


def test_a_path_where_a_name_is_expected_says_what_it_is(tmp_path: Path) -> None:
    import torch

    torch.save({"a": torch.zeros(1)}, tmp_path / "best.pth")
    onnx_files(tmp_path, "exported/model.onnx")
    for path, says in (
        ("best.pth", r"is a file, not a backbone(.|\n)*file of torch\.save(.|\n)*--weights"),
        ("exported", r"is a folder(.|\n)*exported/model\.onnx"),
        ("gone/best.pth", r"is not a backbone(.|\n)*No such file"),
    ):
        with pytest.raises(UserError, match=says):
            resolve(str(tmp_path / path))


def test_a_file_whose_name_is_not_text_is_refused(tmp_path: Path) -> None:
    (file,) = onnx_files(tmp_path, "a\udcff/model.onnx")
    with pytest.raises(UserError, match="not valid UTF-8"):
        resolve(file)
