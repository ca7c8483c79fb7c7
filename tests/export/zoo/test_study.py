from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from export.__main__ import main
from export.errors import UserError
from export.store import Store
from export.zoo.backbones import listing, resolve
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
    assert missing <= {"Stable Diffusion encoder"}, "a row of its own"
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
