"""A shift: fitted on one set, tested on another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import fakes
import numpy as np
import pytest
from annotated_trees import boxed, coco, dumped, masked, pictures, repictured
from trees import write

from export.errors import UserError
from export.store import Store
from tasks.data.altered.corruption import corrupted
from tasks.data.altered.shift import shifted
from tasks.data.base import DataSet
from tasks.data.catalog import open_dataset
from tasks.data.targets import Masks, Objects


def written(folder: Path, classes: dict[str, range]) -> Path:
    for name, seeds in classes.items():
        (folder / name).mkdir(parents=True)
        for seed in seeds:
            (folder / name / f"{seed}.jpg").write_bytes(fakes.photograph(seed))
    return folder


@pytest.fixture
def fitted(tmp_path: Path, store: Store) -> DataSet:
    folder = written(tmp_path / "photos", {"cat": range(20), "dog": range(20, 40), "owl": range(40, 60)})
    return open_dataset(str(folder), store)


def seen(tmp_path: Path, store: Store, classes: dict[str, range], name: str = "rain") -> DataSet:
    return open_dataset(str(written(tmp_path / name, classes)), store, whole=True)


def test_all_of_the_second_is_test_and_none_of_it_is_fitted_on(tmp_path: Path, store: Store, fitted: DataSet) -> None:
    other = seen(tmp_path, store, {"cat": range(100, 103), "dog": range(110, 114), "owl": range(120, 122)})
    [found] = shifted(fitted, other)
    assert found.name == "photos→rain"
    assert len(found.split("test")) == 9
    for split in ("train", "val"):
        mine = [(s.id, s.label) for s in fitted.split(split)]
        assert [(s.id.removeprefix("0:"), s.label) for s in found.split(split)] == mine
    for sample in found.samples:
        folder = found.classes[sample.label]
        assert f"{folder}/" in sample.id
        assert found.read(sample.id) == fakes.photograph(int(sample.id.rpartition("/")[2].removesuffix(".jpg")))
    assert "test is all of rain" in found.splits_from


def test_whose_test_images_they_are_is_told(tmp_path: Path, store: Store, fitted: DataSet) -> None:
    """A published set is known by its name; a folder is not, whatever it is called."""
    classes = {"owl": range(100, 103), "cat": range(110, 114)}
    known = open_dataset(f"imagenet-a={written(tmp_path / 'rain', classes)}", store, whole=True)
    assert (fitted.published, known.published) == ("", "imagenet-a")
    assert [found.published for found in shifted(fitted, known)] == ["", "imagenet-a"]
    assert seen(tmp_path, store, classes, "imagenet-r").published == ""
    mine = open_dataset(f"imagenet={written(tmp_path / 'mine', {'cat': range(20), 'dog': range(20, 40)})}", store)
    harmed = corrupted(mine, "fog", 3)
    assert [found.published for found in shifted(mine, harmed)] == ["imagenet"]


def test_fewer_classes_narrow_both_and_the_base_comes_first(tmp_path: Path, store: Store, fitted: DataSet) -> None:
    base, found = shifted(fitted, seen(tmp_path, store, {"owl": range(100, 103), "cat": range(110, 114)}))
    assert (base.name, found.name) == ("photos|rain", "photos→rain")
    assert base.classes == found.classes == ("cat", "owl")
    assert {s.id for s in base.split("train")} == {s.id for s in found.split("train")}
    assert len(base.split("test")) == sum(fitted.classes[s.label] != "dog" for s in fitted.split("test"))
    assert base.digest != found.digest != fitted.digest


def test_what_cannot_be_a_shift_gets_a_sentence(tmp_path: Path, store: Store, fitted: DataSet) -> None:
    foreign = seen(tmp_path, store, {"cat": range(100, 102), "fox": range(110, 112)}, "foxes")
    with pytest.raises(UserError, match="foxes has classes that photos lacks: fox"):
        shifted(fitted, foreign)
    learned = next(s for s in fitted.samples if s.split == "train")
    number = int(learned.id.rpartition("/")[2].removesuffix(".jpg"))
    copies = seen(tmp_path, store, {"cat": range(number, number + 1), "dog": range(110, 112)}, "copies")
    with pytest.raises(UserError, match="1 images of copies are among those of photos"):
        shifted(fitted, copies)


def test_a_shift_needs_other_images_and_test_images_of_every_class_and_two_classes(
    tmp_path: Path, store: Store, fitted: DataSet
) -> None:
    tested = int(fitted.split("test")[0].id.rpartition("/")[2].removesuffix(".jpg"))
    copies = seen(tmp_path, store, {"cat": range(tested, tested + 1), "dog": range(110, 112)}, "copies")
    with pytest.raises(UserError, match="1 images of copies are among those of photos that are its test images"):
        shifted(fitted, copies)
    rain = seen(tmp_path, store, {"cat": range(100, 103), "owl": range(120, 122)})
    no_owl = replace(fitted, samples=[s for s in fitted.samples if s.split != "test" or s.label != 2])
    assert no_owl.untested() == ["owl"]
    with pytest.raises(UserError, match=r"photos has no test images of owl; rain has"):
        shifted(no_owl, rain)
    shifted(no_owl, seen(tmp_path, store, {"cat": range(200, 203), "dog": range(220, 222)}, "snow"))
    one = seen(tmp_path, store, {"owl": range(130, 133)}, "night")
    with pytest.raises(UserError, match="night has 1 of the classes of photos"):
        shifted(fitted, one)
    nothing = replace(one, samples=[])
    with pytest.raises(UserError, match="has 0 of the classes"):
        shifted(fitted, nothing)


def test_another_second_set_is_another_digest(tmp_path: Path, store: Store, fitted: DataSet) -> None:
    classes = {"cat": range(100, 103), "dog": range(110, 114), "owl": range(120, 122)}
    one, two = seen(tmp_path, store, classes, "one"), seen(tmp_path, store, {**classes, "owl": range(130, 132)}, "two")
    assert shifted(fitted, one)[0].digest != shifted(fitted, replace(two, name="one"))[0].digest


def test_masks_keep_their_classes_by_name(tmp_path: Path, store: Store) -> None:
    fitted = open_dataset(str(write(tmp_path / "streets", masked() | {"classes.txt": "road\nsky\ncar\n"})), store)
    rain = repictured(masked("{role}/{i}", values=(0, 1)) | {"classes.txt": "car\nroad\n"})
    seen = open_dataset(str(write(tmp_path / "rain", rain)), store, whole=True)
    [found] = shifted(fitted, seen)
    assert (found.name, found.kind, found.classes) == ("streets→rain", "masks", ("road", "sky", "car"))
    assert found.shift is not None
    assert found.shift.without == fitted.digest
    assert (found.learning, found.untested()) == (fitted.learning, [])
    assert {s.label for s in found.samples} == {0}
    tests = found.split("test")
    assert found.targets is not None
    assert seen.targets is not None
    now, before = found.targets(tests), seen.targets(seen.samples)
    assert isinstance(now, Masks)
    assert isinstance(before, Masks)
    assert len(now) == 10
    for row in range(len(now)):
        np.testing.assert_array_equal(now[row], np.array([2, 0])[before[row]])
    foreign = replace(seen, classes=("car", "snow"))
    with pytest.raises(UserError, match="rain has classes that streets lacks: snow"):
        shifted(fitted, foreign)


def test_objects_are_tested_by_what_both_sets_have(tmp_path: Path, store: Store, fitted: DataSet) -> None:
    def objects(name: str, first: int, order: tuple[int, int], **more: object) -> DataSet:
        names, those = boxed()
        those = {of: [one | more for one in each] for of, each in those.items()}
        categories = [{"id": order[0], "name": "cat"}, {"id": order[1], "name": "dog"}]
        tree = repictured(pictures(names), first)
        tree["annotations.json"] = dumped(coco(names, those, categories=categories))
        return open_dataset(str(write(tmp_path / name, tree)), store, whole=name != "home")

    home, away = objects("home", 200, (3, 7)), objects("away", 300, (7, 3))
    [found] = shifted(home, away)
    assert (found.kind, found.classes, away.classes) == ("boxes", ("cat", "dog"), ("dog", "cat"))
    assert found.targets is not None
    tests = found.targets(found.split("test"))
    assert isinstance(tests, Objects)
    assert [one.labels.tolist() for one in tests.pictures] == [[1, 0]] * 10, "category 3 is away's dog"
    shaped = objects("shaped", 400, (3, 7), segmentation=[[1, 1, 9, 1, 9, 9]])
    assert shaped.kind == "shapes"
    assert [shifted(*pair)[0].kind for pair in ((home, shaped), (shaped, away))] == ["boxes", "boxes"]
    with pytest.raises(UserError, match="photos has labels, and home has boxes"):
        shifted(home, fitted)
    with pytest.raises(UserError, match="home has boxes, and photos has labels"):
        shifted(fitted, home)
