"""``python -m bench.damage``: the table, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from fake_records import ODD

from bench.damage import main, table
from bench.sweep.damage import Row
from export.errors import UserError
from tasks.base import Batchwise, Labels, Splits
from tasks.scoring.damage import damage


def test_the_table_has_a_line_a_cell_and_the_warnings_below() -> None:
    draw = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 30)
    features = (np.eye(3)[labels] + draw.normal(scale=0.05, size=(90, 3))).astype(np.float32)
    part = Batchwise({"features": features}, Labels(labels, ("a", "b", "c")))
    moved = features.copy()
    moved[0] = -features[0]
    after = Batchwise({"features": moved}, part.targets)
    found = damage(Splits(part, part, part), Splits(part, part, after))
    lines = table([Row("a cell", "some data", found)]).splitlines()
    assert lines[0].count("|") == lines[2].count("|")
    assert lines[2].startswith("| a cell | some data | -1.1")
    assert "| a -3 (n 30) |" in lines[2]
    assert lines[4] == "- a cell on some data: The mean cosine hides it: 1 of 90 images are below 0.9."


def test_data_and_class_folders_are_called_whatever_they_are_called() -> None:
    labels = np.repeat([0, 1], 20)
    features = (np.eye(2)[labels] + np.random.default_rng(0).normal(scale=0.05, size=(40, 2))).astype(np.float32)
    part = Batchwise({"features": features}, Labels(labels, (ODD, "c|d→e@f")))
    moved = features.copy()
    moved[20:23] = -features[20:23]
    after = Batchwise({"features": moved}, part.targets)
    found = damage(Splits(part, part, part), Splits(part, part, after))
    line = table([Row("a cell", ODD, found)]).splitlines()[2]
    assert line.startswith("| a cell | a→b\\|c@d | ")
    assert "| c\\|d→e@f -15 (n 20) |" in line
    assert line.replace("\\|", "").count("|") == 10


def test_unknown_names_get_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="mobilnet"):
        main(["--models", "mobilnet", "--store", str(tmp_path)])
    with pytest.raises(UserError, match="fp33"):
        main(["--precision", "fp33", "--store", str(tmp_path)])


@pytest.mark.slow
@pytest.mark.network
def test_a_real_backbone_on_real_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--models", "mobilenetv2", "--precision", "fp32", "--limit", "80", "--store", str(tmp_path)]
    assert main([*given, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["cell"].split(" · ")[0] for row in rows] == ["mobilenetv2", "mobilenetv2"]
    for row in rows:
        assert row["damage"]["cosine_least"] > 0.9999
        assert {m["name"]: m["value"] for m in row["damage"]["metrics"]}["flips"] == 0
