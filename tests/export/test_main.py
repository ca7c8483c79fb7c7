from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from export.__main__ import main
from export.errors import UserError
from export.store import Store
from export.zoo.backbones import resolve
from export.zoo.sources import OnnxFile

SMALL = "test_resnet.r160_in1k@random"


def test_the_command_writes_the_files_and_the_table(
    shared_store: Store, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--store", str(shared_store.root), "--images", str(photos), "--out", str(tmp_path / "out"), "--json"]
    assert main([SMALL, *arguments]) == 0
    row = json.loads(capsys.readouterr().out)[0]
    assert row["untrained"]
    assert row["parity_passed"]
    assert Path(row["path"]).is_file()
    sidecar = Path(row["path"]).with_name("preprocess.yaml")
    shutil.copy(sidecar, Path(row["path"]).with_suffix(".yaml"))
    again = resolve(row["path"])
    assert isinstance(again.source, OnnxFile), "what is exported can be read back as a finished file"


def test_every_size_and_depth_is_a_file_of_its_own(
    shared_store: Store, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--store", str(shared_store.root), "--images", str(photos), "--out", str(tmp_path), "--json"]
    assert main([SMALL, "--size", "64,20", "--depth", "1", *arguments]) == 1
    captured = capsys.readouterr()
    [row] = json.loads(captured.out)
    assert (row["network"], row["input"], row["depth"]) == (f"{SMALL} · 64x64 · depth 1", [64, 64], 1)
    assert Path(row["path"]) == tmp_path / f"{SMALL}.64x64.depth1" / "model.onnx"
    assert "cannot take an input of 20x20" in captured.err


def test_the_command_goes_on_past_a_failing_model(
    shared_store: Store, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.pth").write_bytes(b"")
    zoo = tmp_path / "zoo.yaml"
    zoo.write_text("- {name: broken, timm: resnet18.a1_in1k, file: broken.pth}\n")
    common = ["--store", str(shared_store.root), "--images", str(photos), "--out", str(tmp_path), "--zoo", str(zoo)]
    assert main(["broken", SMALL, *common]) == 1
    captured = capsys.readouterr()
    assert "damaged or truncated" in captured.err
    assert "test_resnet" in captured.out
    assert main(["broken", *common]) == 2


def test_the_command_lists_the_zoo(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {"vit_b", "efficientnet_lite0"} <= {r["name"] for r in rows}


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["a", "b", "--weights", "x"],
        ["nope_nope"],
        ["vit_b", "--precision", "int3"],
        ["vit_b", "--size", "huge"],
        ["vit_b", "--depth", "0"],
    ],
)
def test_wrong_arguments_get_a_sentence(arguments: list[str]) -> None:
    with pytest.raises(UserError):
        main(arguments)
