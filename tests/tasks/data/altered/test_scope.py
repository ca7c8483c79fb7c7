"""Images of none of the classes, beside the test images of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import fakes
import pytest

from export.errors import UserError
from export.store import Store
from tasks.data.altered.scope import NOT_IN, beside
from tasks.data.base import OUTSIDE, SPLITS, DataSet
from tasks.data.catalog import open_dataset


class WriteTree(Protocol):
    def __call__(self, counts: Mapping[str, int], root: Path = ..., first: int = ...) -> Path: ...


@pytest.fixture
def fitted(write_tree: WriteTree, tmp_path: Path, store: Store) -> DataSet:
    return open_dataset(str(write_tree({"cat": 20, "dog": 20}, tmp_path / "photos")), store)


def other(write_tree: WriteTree, store: Store, root: Path, counts: Mapping[str, int], first: int = 100) -> DataSet:
    return open_dataset(str(write_tree(counts, root, first)), store, whole=True)


def test_all_of_the_second_is_test_and_of_a_class_of_its_own(
    write_tree: WriteTree, tmp_path: Path, store: Store, fitted: DataSet
) -> None:
    found = beside(fitted, other(write_tree, store, tmp_path / "junk", {"car": 3, "sky": 2}))
    assert found.name == f"photos{NOT_IN}junk"
    assert found.scope == "open"
    assert fitted.scope == "closed"
    assert found.classes == ("cat", "dog", OUTSIDE)
    for split in SPLITS:
        own = [(s.id.removeprefix("0:"), s.label) for s in found.split(split) if s.label < 2]
        assert own == [(s.id, s.label) for s in fitted.split(split)]
    outside = [s for s in found.samples if s.label == 2]
    assert {s.split for s in outside} == {"test"}
    assert sorted(s.id for s in outside) == [
        f"1:{c}/{i:03d}.jpg" for c, n in (("car", 3), ("sky", 2)) for i in range(n)
    ]
    assert found.read(outside[0].id) == fakes.photograph(100)
    assert "all 5 images of junk" in found.splits_from


def test_one_class_is_enough(write_tree: WriteTree, tmp_path: Path, store: Store, fitted: DataSet) -> None:
    junk = other(write_tree, store, tmp_path / "junk", {"anything": 4})
    assert sum(s.label == 2 for s in beside(fitted, junk).samples) == 4


def test_another_second_set_is_another_digest(
    write_tree: WriteTree, tmp_path: Path, store: Store, fitted: DataSet
) -> None:
    one, two = (other(write_tree, store, tmp_path / name, {"car": 3}, n) for name, n in (("a", 100), ("b", 200)))
    assert beside(fitted, one).digest != beside(fitted, replace(two, name="a")).digest


def test_what_is_in_scope_gets_a_sentence(write_tree: WriteTree, tmp_path: Path, store: Store, fitted: DataSet) -> None:
    known = other(write_tree, store, tmp_path / "known", {"dog": 2, "sky": 2})
    with pytest.raises(UserError, match=r"known and photos share classes: dog(.|\n)*--shifted known"):
        beside(fitted, known)
    for split in SPLITS:
        sample = fitted.split(split)[0]
        folder = tmp_path / f"copies of {split}"
        write_tree({"car": 2}, folder, 300)
        (folder / "car" / "again.jpg").write_bytes(fitted.read(sample.id))
        with pytest.raises(UserError, match=f"1 images are in both copies of {split} and photos"):
            beside(fitted, open_dataset(str(folder), store, whole=True))
    with pytest.raises(UserError, match="nothing has no images"):
        beside(fitted, replace(known, name="nothing", samples=[], classes=()))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty holds no images"):
        open_dataset(str(tmp_path / "empty"), store, whole=True)


def test_pictures_of_several_classes_get_a_sentence(
    write_tree: WriteTree, tmp_path: Path, store: Store, fitted: DataSet
) -> None:
    junk = other(write_tree, store, tmp_path / "junk", {"car": 3})
    for pair in ((replace(fitted, kind="masks"), junk), (fitted, replace(junk, name="photos", kind="masks"))):
        with pytest.raises(UserError, match="photos has masks; out-of-scope images need one class an image"):
            beside(*pair)
