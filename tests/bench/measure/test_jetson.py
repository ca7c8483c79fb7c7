from __future__ import annotations

import math
from pathlib import Path

import pytest
from boards import ORIN, PI5, jetson_mode, write

from bench.measure import jetson
from bench.measure.jetson import PowerMode


@pytest.mark.parametrize(
    ("line", "release"),
    [
        ("# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic", "36.4.3"),
        ("# R38 (release), REVISION: 4.0, GCID: 1", "38.4.0"),
        ("# R36 (release), REVISION: 3, GCID: 1", "36.3.0"),
        ("something else", ""),
    ],
)
def test_the_release_is_in_one_form(tmp_path: Path, line: str, release: str) -> None:
    assert jetson.release(write(tmp_path, {"etc/nv_tegra_release": line})) == release


def test_the_power_mode_is_called_by_its_name(tmp_path: Path) -> None:
    root = write(tmp_path, ORIN)
    modes = PowerMode(0, "MAXN"), PowerMode(1, "15W"), PowerMode(2, "30W"), PowerMode(3, "50W")
    assert jetson.power_modes(root) == modes
    assert jetson.power_mode(root) == jetson.largest(root) == modes[0]
    write(root, jetson_mode(1))
    assert jetson.power_mode(root) == modes[1]
    write(root, {"var/lib/nvpmodel/status": "pmode:0009\n"})
    assert jetson.power_mode(root) == PowerMode(9, "9")


def test_without_its_file_the_command_is_asked_and_then_the_default_is_taken(tmp_path: Path) -> None:
    root = write(tmp_path, ORIN)
    (root / "var/lib/nvpmodel/status").unlink()
    assert jetson.power_mode(root) == PowerMode(2, "30W")
    command = root / "usr/sbin/nvpmodel"
    write(root, {"usr/sbin/nvpmodel": "#!/bin/sh\n[ $1 = -q ] && printf 'NV Power Mode: MODE_15W\\n1\\n'\n"})
    command.chmod(0o755)
    assert jetson.power_mode(root) == PowerMode(1, "15W")


@pytest.mark.parametrize(("name", "watts"), [("MAXN", math.inf), ("MODE_15W", 15), ("MODE_30W_2CORE", 30), ("ODM", 0)])
def test_the_largest_mode_is_the_one_with_the_largest_budget(tmp_path: Path, name: str, watts: float) -> None:
    conf = f"< POWER_MODEL ID=0 NAME={name} >\n< POWER_MODEL ID=1 NAME=MODE_10W >\n"
    root = write(tmp_path, {"etc/nvpmodel.conf": conf})
    assert jetson.power_modes(root)[0].watts == watts
    largest = jetson.largest(root)
    assert largest is not None
    assert largest.id == (0 if watts > 10 else 1)


def test_another_board_has_none_of_this(tmp_path: Path) -> None:
    root = write(tmp_path, PI5)
    assert (jetson.release(root), jetson.power_modes(root), jetson.largest(root)) == ("", (), None)
    assert jetson.power_mode(root) is None
