from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from bench.sweep import history
from bench.sweep.spec import SweepSpec
from export.errors import UserError


def sweep(**fields: Any) -> SweepSpec:
    given: dict[str, Any] = {"models": ("m.onnx", "vit_s"), "engines": ("ort",), "data": ("photos", "elpv")}
    return SweepSpec(**{**given, "tasks": (), "scenarios": (), **fields})


def test_a_sweep_is_read_back_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "m.onnx").touch()
    (tmp_path / "elpv.pth").touch()
    monkeypatch.chdir(tmp_path)
    history.keep(tmp_path / "out", sweep(weights={"vit_s": "elpv.pth"}, size=("64x96",), void=(1, 2), limit=7))
    monkeypatch.chdir("/")
    [found] = history.sweeps(tmp_path / "out")
    wanted = sweep(
        models=(str(tmp_path / "m.onnx"), "vit_s"),
        data=(str(tmp_path / "photos"), "elpv"),
        weights={"vit_s": str(tmp_path / "elpv.pth")},
        size=("64x96",),
        void=(1, 2),
        limit=7,
    )
    assert found == wanted


def test_the_newest_sweep_comes_first_and_each_once(tmp_path: Path) -> None:
    for seed in (1, 2, 1):
        history.keep(tmp_path, sweep(seed=seed))
        for path in (tmp_path / history.FOLDER).glob("*.json"):
            age = path.stat().st_mtime - 100  # what is there becomes older
            os.utime(path, (age, age))
    assert [one.seed for one in history.sweeps(tmp_path)] == [1, 2]


def test_a_file_that_is_no_sweep_is_named(tmp_path: Path) -> None:
    (tmp_path / history.FOLDER).mkdir()
    (tmp_path / history.FOLDER / "odd.json").write_text('{"modls": ["a"]}')
    with pytest.raises(UserError, match="Unknown field 'modls'"):
        list(history.sweeps(tmp_path))
    assert list(history.sweeps(tmp_path / "elsewhere")) == []
