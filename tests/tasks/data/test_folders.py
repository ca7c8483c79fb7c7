from __future__ import annotations

from pathlib import Path

import pytest
from trees import HEIC, POINTER, account, entries, labelled, packed, sizes, write

from export.errors import UserError
from export.store import Store
from tasks.data.catalog import locate, survey
from tasks.data.layout import Source

Tree = dict[str, int | bytes | str | None]
BOTH = {("cat", "train"): 2, ("dog", "train"): 2, ("cat", "test"): 1, ("dog", "test"): 1}


def read(root: Path, tree: Tree) -> Source:
    """What a folder gives; every file of it is in one count."""
    found = locate(str(write(root / "photos", tree)), Store(root / "store"))
    assert len(found.items) + sum(account(found.left_out).values()) == entries(root / "photos")
    return found


def pair(train: str, test: str, more: str = "") -> Tree:
    return {f"{train}/cat{more}": 2, f"{train}/dog{more}": 2, f"{test}/cat{more}": 1, f"{test}/dog{more}": 1}


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train", "test"),
        ("Train", "Test"),
        ("TRAIN", "eval"),
        ("training_set", "test_set"),
        ("TrainingSet", "TestSet"),
        ("traindata", "testdata"),
        ("train_images", "test_images"),
        ("train2017", "test2017"),
        ("01_train", "02_test"),
        ("split=train", "split=test"),
        ("seg_train", "seg_test"),
        ("flowers-training", "flowers-holdout"),
        ("training_set/training_set", "test_set/test_set"),
        ("train/images", "test/images"),
        ("data/v2/train", "data/v2/test"),
    ],
)
def test_splits_are_known_by_their_names(tmp_path: Path, train: str, test: str) -> None:
    found = read(tmp_path, pair(train, test))
    assert sizes(found) == BOTH
    assert any(note.startswith("splits from the folders ") for note in found.notes)


def test_dev_is_val_and_eval_is_test(tmp_path: Path) -> None:
    found = read(tmp_path, pair("train", "dev") | pair("train", "eval"))
    assert {split for _, split in sizes(found)} == {"train", "val", "test"}
    assert found.notes == ("splits from the folders dev (val), eval (test), train (train)",)


def test_a_split_with_a_qualified_name_joins_the_plain_ones_if_it_holds_the_same_classes(tmp_path: Path) -> None:
    assert sizes(read(tmp_path, pair("train", "my_test"))) == BOTH


def test_splits_inside_class_folders(tmp_path: Path) -> None:
    found = read(tmp_path, {"cat/train/img": 2, "cat/test/img": 1, "dog/train/img": 2, "dog/test/img": 1})
    assert sizes(found) == BOTH
    assert found.notes[0] == "splits from the folders inside the class folders: test (test), train (train)"
    assert "6 images lie deeper" in found.notes[1]


def test_classes_may_have_the_names_of_splits(tmp_path: Path) -> None:
    found = read(tmp_path, {"train": 3, "car": 2, "bus": 1})
    assert sizes(found) == {("train", None): 3, ("car", None): 2, ("bus", None): 1}
    assert found.notes == ("train is read as a class, not as a split",)
    assert sizes(read(tmp_path / "b", {"train_station": 1, "test_tube": 2})) == {
        ("train_station", None): 1,
        ("test_tube", None): 2,
    }


def test_a_flat_test_beside_class_folders_is_counted_and_said(tmp_path: Path) -> None:
    found = read(tmp_path, pair("train", "val") | {"test": 4})
    assert account(found.left_out) == {"images of test, which has no class folders": 4}
    assert "4 images of test lie in no class folder: they have no label, and are left out" in found.notes


@pytest.mark.parametrize(
    ("tree", "sentence"),
    [
        (
            {f"fold{i}/{c}": 2 for i in range(3) for c in "ab"},
            r"these folders hold the same subfolders \(a, b\): they",
        ),
        ({f"camera{i}/{c}": 2 for i in range(2) for c in "ab"}, "Two readings: the classes are camera0, camera1; or"),
        (
            {f"{c}/camera{i}": 2 for i in range(2) for c in "ab"},
            "the classes are a, b; or they are camera0",
        ),
        ({f"{d}/{s}/{c}": 1 for d in ("photo", "sketch") for s in ("train", "test") for c in "ab"}, "Two readings"),
        ({f"{s}/{c}/camera{i}": 2 for s in ("train", "test") for i in (0, 1) for c in "ab"}, "the same subfolders"),
        ({"train": 3, "test": 2}, "look like splits; the images of test, train are in no class folders"),
        ({"train/a": 1, "train/b": 1, "test": 2}, "the images of test are in no class folders(.|\n)*--data DIR/train"),
        ({"train/a": 1, "train/b": 1, "unlabelled": 2}, "train looks like a split(.|\n)*--data DIR/train"),
        ({"train/a": 1, "training/a": 1, "test/a": 1}, "several folders for one split: train, training"),
        ({"a/train": 1, "a/test": 1, "a/testing": 1, "b/train": 1}, "several folders for one split: test, testing"),
        ({"d/train/a": 1, "d/test/a": 1, "docs": 1}, r"photos/d holds the splits test, train(.|\n)*--data DIR/d"),
        ({"images": 2, "masks/a.png": b""}, "masks of photos do not belong to its images"),
        ({"images": 2, "depth": 2}, "look like images and what belongs to them"),
        ({f"{s}/{k}": 2 for s in ("train", "test") for k in ("images", "depth")}, "what belongs to them"),
        ({"train/a/images": 1, "train/b/images": 1, "val/images": 3}, "the images of val are in no class folders"),
        ({"": 3}, "not in class folders(.|\n)*Labels in file names are not read"),
    ],
)
def test_what_has_two_readings_is_refused_with_both(tmp_path: Path, tree: Tree, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        read(tmp_path, tree)


def test_deeper_folders_are_said(tmp_path: Path) -> None:
    found = read(tmp_path, {"animal/cat": 2, "animal/dog": 1, "plant/rose": 1, "plant": 1})
    assert sizes(found) == {("animal", None): 3, ("plant", None): 2}
    assert found.notes == (
        "4 images lie deeper, and have the class of the folder above: animal/cat, animal/dog, plant/rose",
    )


def test_one_kind_of_subfolder_is_no_second_reading(tmp_path: Path) -> None:
    assert sizes(read(tmp_path, {"cat/images": 2, "dog/images": 1})) == {("cat", None): 2, ("dog", None): 1}


@pytest.mark.parametrize("name", ["1.jfif", "1.jpe", "1.avif", "1", "1.JPG", "1.heic", "IMG.0001", "1.jpg~", "1.webp"])
def test_images_are_known_by_what_they_hold(tmp_path: Path, name: str) -> None:
    assert labelled(read(tmp_path, {"cat": 1, f"dog/{name}": b"\xff\xd8\xff\xe0"}))[f"dog/{name}"] == ("dog", None)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("1.heic", HEIC, r"emu of photos holds no image(.|\n)*1 HEIC images(.|\n)*Try: convert them to JPEG"),
        ("1", HEIC, "HEIC images"),
        ("1.mp4", b"", r"videos(.|\n)*extract frames"),
        ("1.npy", b"", "arrays or records"),
        ("1.dng", b"II*\0", "camera raw images"),
        ("1.svs", b"II*\0", "whole-slide images"),
        ("1.svg", b"", "vector drawings"),
        ("1.dcm", b"", "DICOM"),
        ("1.jxl", b"", "JPEG XL"),
        ("1.zip", b"", "archives"),
        ("1.xyz", b"\0\1\2", r"files of unknown kind \(\.xyz\)"),
        ("1.jpg", POINTER, r"1 files of photos are Git LFS pointers(.|\n)*git lfs pull"),
    ],
)
def test_a_class_folder_without_an_image_is_refused(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        read(tmp_path, {"cat": 1, "dog": 1, f"emu/{name}": content})
    with pytest.raises(UserError, match=sentence):
        read(tmp_path / "split", pair("train", "test") | {f"train/emu/{name}": content})


def test_a_split_of_files_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="test/cat of photos holds no image"):
        read(tmp_path, {"train/cat": 1, "train/dog": 1, "test/cat/1.heic": HEIC, "test/dog/1.heic": HEIC})


def test_documents_beside_class_folders_are_counted(tmp_path: Path) -> None:
    found = read(tmp_path, {"cat": 1, "dog": 1, "docs/a.md": "", "cat/b.txt": "", "c.json": "{}", "d.parquet": b"PAR1"})
    assert found.notes == ("folders without images: docs",)
    assert account(found.left_out) == {
        "text files": 2,
        "JSON files, which are not read": 1,
        "Parquet or Arrow tables, which are not read": 1,
    }
    with pytest.raises(UserError, match="train/emu of photos holds no image"):
        read(tmp_path / "split", pair("train", "test") | {"train/emu/notes.txt": "soon"})


def test_hidden_files_and_empty_folders_are_counted(tmp_path: Path) -> None:
    hidden = {
        ".DS_Store": "",
        "cat/Thumbs.db": "",
        "__MACOSX/cat/._1.jpg": "",
        ".git/objects/ab": "",
        "desktop.ini": "",
    }
    found = read(tmp_path, {"cat": 1, "dog": 1, "emu": None, **hidden})
    assert account(found.left_out) == {"hidden files": 5, "empty folders": 1}
    assert found.notes == ("folders without images: emu",)


def test_names_that_are_almost_the_same_are_said(tmp_path: Path) -> None:
    assert read(tmp_path, {"Cat": 1, "cat": 1}).notes[0].endswith("almost the same: Cat and cat")
    assert "almost the same" in read(tmp_path / "b", {"\u00e9": 1, "e\u0301": 1}).notes[0]


def test_training_images_under_another_case_are_said(tmp_path: Path) -> None:
    from fakes import photograph

    root = write(tmp_path / "p", {f"train/{c}/{i}.jpg": photograph(i) for i, c in enumerate(["Cat", "dog"] * 4)})
    write(root, {"test/cat/9.jpg": photograph(9), "test/dog/10.jpg": photograph(10)})
    with pytest.raises(UserError, match=r"no training images(.|\n)*cat. Some differ from a class of train"):
        survey(str(root), Store(tmp_path / "store"))


@pytest.mark.parametrize("ending", [".zip", ".tar", ".tar.gz", ".tar.xz", ".tar.bz2"])
def test_an_archive_gives_what_its_folder_gives(tmp_path: Path, ending: str) -> None:
    tree: Tree = pair("train", "test") | {".DS_Store": "", "train/emu": None, "extra": 2, "notes.txt": "", "x.jpg": b""}
    folder = read(tmp_path, tree)
    archive = locate(str(packed(tmp_path / "photos", tmp_path / f"photos{ending}")), Store(tmp_path / "store"))
    assert (archive.name, labelled(archive), archive.notes) == (folder.name, labelled(folder), folder.notes)
    assert archive.left_out == folder.left_out


@pytest.mark.parametrize(
    ("tree", "sentence"),
    [
        ({"a.zip": b"PK\x03\x04"}, r"holds no images(.|\n)*1 archives \(a\.zip\)(.|\n)*give one of them as --data"),
        ({"d/train.parquet": b"PAR1"}, "Parquet or Arrow tables"),
        ({"JPEGImages": 3, "Annotations/1.xml": "<annotation/>"}, "only one class(.|\n)*looks like Pascal VOC"),
        ({"train": 3, "val": 2, "a/i.json": '{"annotations": []}'}, "in no class folders(.|\n)*looks like COCO"),
        ({"images/train": 2, "images/val": 2, "labels/0.txt": "0 0.5 0.5 0.1 0.1\n"}, "looks like YOLO"),
        ({f"{i}": 1 for i in range(6)}, "6 classes for 6 images(.|\n)*such as '0'"),
        ({"a": 3}, "photos has only one class|not in class folders"),
    ],
)
def test_what_is_no_classification_is_refused_with_the_cause(tmp_path: Path, tree: Tree, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        survey(str(write(tmp_path / "photos", tree)), Store(tmp_path / "store"))


@pytest.mark.parametrize(
    "folders",
    [
        ("trainA", "trainB", "testA", "testB"),
        ("train_ok", "test_ok", "train_bad", "test_bad"),
        ("seg_train", "seg_val"),
    ],
)
def test_flat_folders_that_are_all_named_like_splits_are_no_classes(tmp_path: Path, folders: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match=r"every one of these folders is named like a split(.|\n)*Two readings"):
        read(tmp_path, dict.fromkeys(folders, 3))
    found = read(tmp_path / "classes", dict.fromkeys((*folders, "bus"), 3))
    assert {item.label for item in found.items} == {*folders, "bus"}
