from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import dataset, photograph
from PIL import Image

from bench.records.thumbnails import place, read
from bench.sweep import thumbnails
from bench.sweep.cells import Planned
from bench.sweep.expansion import expand
from bench.sweep.spec import read as spec
from export.store import Store
from tasks.data.base import DataSet, Shifted


@pytest.fixture
def cells(store: Store) -> list[Planned]:
    return expand(spec(models=("mobilenetv2",), engines=("ort",), data=("toy",), tasks=("knn",), scenarios=()), store)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_the_test_photographs_are_kept_small_and_in_order(cells: list[Planned], tmp_path: Path) -> None:
    data = dataset()
    large = replace(data, read=lambda name: photograph(int(name[:4]), 300, 200))
    thumbnails.keep(cells, [large], tmp_path)
    found = read(place(tmp_path, large.digest))
    test = large.split("test")
    assert [one.id for one in found.test] == [sample.id for sample in test]
    assert [one.label for one in found.test] == [large.classes[sample.label] for sample in test]
    assert found.places == set(range(len(test)))
    for sample, encoded in zip(test, found.read(range(len(test))), strict=True):
        with Image.open(io.BytesIO(encoded)) as picture:
            assert max(picture.size) == thumbnails.SIDE
            small = np.asarray(picture.convert("RGB"), float)
        with Image.open(io.BytesIO(large.read(sample.id))) as whole:
            mean = np.asarray(whole.convert("RGB"), float).mean(axis=(0, 1))
        assert np.abs(small.mean(axis=(0, 1)) - mean).max() < 6
    before = place(tmp_path, large.digest).stat().st_mtime_ns
    thumbnails.keep(cells, [large], tmp_path)
    assert place(tmp_path, large.digest).stat().st_mtime_ns == before


def test_of_many_photographs_some_are_drawn_and_unreadable_ones_are_left_out(
    cells: list[Planned], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = dataset(60)
    test = data.split("test")
    bad = replace(data, digest="bad", read=lambda name: b"" if name == test[0].id else data.read(name))
    thumbnails.keep(cells, [bad], tmp_path)
    assert read(place(tmp_path, bad.digest)).places == set(range(1, len(test)))
    monkeypatch.setattr(thumbnails, "MOST", 9)
    thumbnails.keep(cells, [data], tmp_path)
    found = read(place(tmp_path, data.digest))
    assert len(found.test) == len(test)
    assert len(found.places) == 9
    assert max(found.places) > 9, "not the first ones alone"


def test_nothing_is_kept_of_shifted_sets_nor_of_sweeps_that_score_nothing(cells: list[Planned], tmp_path: Path) -> None:
    data = dataset()
    thumbnails.keep(cells, [replace(data, shift=Shifted("a", "b", "c"))], tmp_path)
    untasked = [replace(cell, sweep=replace(cell.sweep, tasks=())) for cell in cells]
    thumbnails.keep(untasked, [data], tmp_path)
    assert files(tmp_path) == []


def test_a_set_whose_thumbnails_cannot_be_made_costs_no_sweep(
    cells: list[Planned], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(name: str) -> bytes:
        raise ZeroDivisionError(name)

    data: DataSet = replace(dataset(), read=broken)
    thumbnails.keep(cells, [data], tmp_path)
    assert "no thumbnails of drawn: ZeroDivisionError" in capsys.readouterr().err
    assert files(tmp_path) == []
