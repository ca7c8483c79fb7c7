from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fakes import dataset

from bench.sweep.calibration import calibrated
from bench.sweep.expansion import expand
from bench.sweep.spec import SweepSpec
from export.lower.calibration import VAL
from export.store import Store
from tasks.data.base import DataSet


def gallery(count: int) -> DataSet:
    """Nothing is val."""
    data = dataset(count)
    return replace(data, samples=[replace(s, split="train" if s.split == "val" else s.split) for s in data.samples])


@pytest.mark.parametrize("count", [30, 600])
def test_without_val_part_of_the_gallery_is_set_apart_and_queries_are_never_touched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], count: int
) -> None:
    sweep = SweepSpec(("vit_t@random",), ("torch",), ("drawn",), (), (), precisions=("fp32", "int8"))
    data = gallery(count)
    plain, low = calibrated(expand(sweep, Store(tmp_path)), data)[:2]
    assert plain.calibration is None
    assert low.calibration is not None
    train, val = set(low.calibration.train), set(low.calibration.val)
    assert not train & val
    assert train | val <= {s.id for s in data.split("train")}
    assert len(val) == min(VAL, len(data.split("train")) // 2)
    assert "held-out part" in capsys.readouterr().err
    again = calibrated(expand(sweep, Store(tmp_path)), data)[1].calibration
    assert again is not None
    assert again.digest == low.calibration.digest


def test_with_val_ranges_come_from_train_and_choices_from_val(tmp_path: Path) -> None:
    sweep = SweepSpec(("vit_t@random",), ("torch",), ("drawn",), (), (), precisions=("int8",))
    data = dataset(60)
    chosen = calibrated(expand(sweep, Store(tmp_path)), data)[0].calibration
    assert chosen is not None
    assert set(chosen.train) == {s.id for s in data.split("train")}
    assert set(chosen.val) == {s.id for s in data.split("val")}
