from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from trees import account, entries, labelled, packed, write

from export.errors import UserError
from export.store import Store
from tasks.data.catalog import locate
from tasks.data.layout import Source

Tree = dict[str, int | bytes | str | None]
CAMERAS: Tree = {"camera0": 2, "camera1": 2}
PATHS = ("camera0/000.jpg", "camera0/001.jpg", "camera1/000.jpg", "camera1/001.jpg")
LABELS = ("daisy", "rose", "daisy", "rose")
RIGHT = {path: (label, None) for path, label in zip(PATHS, LABELS, strict=True)}


def csv(*columns: Sequence[str], header: str = "path,label", delimiter: str = ",", quote: str = "") -> str:
    rows = [header.split(",")] * bool(header) + [list(row) for row in zip(*columns, strict=True)]
    return "".join(delimiter.join(f"{quote}{cell}{quote}" for cell in row) + "\n" for row in rows)


def read(root: Path, tree: Tree, ref: str = "") -> Source:
    """What a folder gives, or a table in it; every file of it is in one count."""
    found = locate(str(write(root / "photos", tree) / ref), Store(root / "store"))
    assert len(found.items) + sum(account(found.left_out).values()) == entries(root / "photos")
    return found


@pytest.mark.parametrize(
    "table",
    [
        csv(PATHS, LABELS),
        csv(PATHS, LABELS, quote='"'),
        csv(PATHS, LABELS, quote="'"),
        csv(PATHS, LABELS, delimiter=";"),
        csv(PATHS, LABELS, delimiter="\t"),
        csv(PATHS, LABELS, delimiter="|"),
        csv(PATHS, LABELS, delimiter=", "),
        "sep=;\r\n" + csv(PATHS, LABELS, delimiter=";").replace("\n", "\r\n"),
        csv(PATHS, LABELS, header="filename,class"),
        csv(PATHS, LABELS, header="Image Path,Category"),
        csv(PATHS, LABELS, header="image_id,target"),
        csv(LABELS, PATHS, header="species,file"),
        csv("0123", PATHS, LABELS, header=",image,label"),
        csv(PATHS, LABELS, header=""),
        csv(LABELS, PATHS, header="", delimiter=";"),
        csv([path.replace("/", "\\") for path in PATHS], LABELS),
        csv([f"./{path}" for path in PATHS], LABELS),
        csv([path.upper() for path in PATHS], LABELS),
        csv([path.removesuffix(".jpg") for path in PATHS], LABELS, header="id,label"),
    ],
)
def test_a_table_is_read_in_its_dialect(tmp_path: Path, table: str) -> None:
    by_folder = read(tmp_path, {**CAMERAS, "labels.csv": table})
    assert labelled(by_folder) == RIGHT
    assert by_folder.notes[0].startswith("labels from labels.csv")
    assert "the folders camera0, camera1 are not read as classes" in by_folder.notes
    assert account(by_folder.left_out) == {"table, read for the labels": 1}
    by_table = read(tmp_path, {}, "labels.csv")
    archive = locate(str(packed(tmp_path / "photos", tmp_path / "photos.zip")), Store(tmp_path / "store"))
    for other in (by_table, archive):
        assert (labelled(other), other.left_out) == (RIGHT, by_folder.left_out)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_a_table_is_read_in_its_encoding(tmp_path: Path, encoding: str) -> None:
    tree: Tree = {"café": 2, "labels.csv": csv(("café/000.jpg", "café/001.jpg"), ("thé", "eau")).encode(encoding)}
    found = read(tmp_path, tree)
    assert labelled(found) == {"café/000.jpg": ("thé", None), "café/001.jpg": ("eau", None)}
    assert any("Windows-1252" in note for note in found.notes) == (encoding == "cp1252")


def test_a_list_without_a_header_may_be_a_text_file(tmp_path: Path) -> None:
    assert labelled(read(tmp_path, {**CAMERAS, "list.txt": csv(PATHS, LABELS, header="", delimiter=" ")})) == RIGHT
    found = read(tmp_path / "b", {"cat": 1, "dog": 1, "readme.txt": "path, label and others\nare words\n"})
    assert account(found.left_out) == {"text files": 1}


def test_three_tables_are_the_splits(tmp_path: Path) -> None:
    rows = {"train": ("x/000.jpg", "a"), "val": ("x/001.jpg", "b"), "test": ("x/002.jpg", "a")}
    found = read(tmp_path, {"x": 4, **{f"{name}.csv": csv([path], [label]) for name, (path, label) in rows.items()}})
    assert [item.split for item in found.items] == ["train", "val", "test"]
    assert found.notes[0] == "splits from the tables test.csv (test), train.csv (train), val.csv (val)"
    assert account(found.left_out) == {"table, read for the labels": 3, "images that no table lists": 1}


def test_a_table_in_each_split_folder(tmp_path: Path) -> None:
    table = csv(["000.jpg", "001.jpg"], "ab", header="file,label")
    found = read(tmp_path, {"train": 2, "test": 2, "train/labels.csv": table, "test/labels.csv": table})
    assert labelled(found)["test/001.jpg"] == ("b", "test")


def test_splits_come_from_the_folders_where_the_table_gives_none(tmp_path: Path) -> None:
    places = ("train/000.jpg", "train/001.jpg", "test/000.jpg")
    found = read(tmp_path, {"train": 2, "test": 1, "labels.csv": csv(places, "aba")})
    assert [item.split for item in found.items] == ["test", "train", "train"]
    assert "splits from the folders test, train" in found.notes


@pytest.mark.parametrize("words", ["train val test", "Training dev eval", "train_set valid holdout"])
@pytest.mark.parametrize("column", ["split", "set", "subset"])
def test_a_column_of_splits(tmp_path: Path, column: str, words: str) -> None:
    table = csv(("000.jpg", "001.jpg", "002.jpg"), "aba", words.split(), header=f"id,label,{column}")
    found = read(tmp_path, {"x": 3, "t.csv": table})
    assert [item.split for item in found.items] == ["train", "val", "test"]


def test_numbers_of_folds_are_not_splits_and_said(tmp_path: Path) -> None:
    found = read(tmp_path, {**CAMERAS, "t.csv": csv(PATHS, LABELS, "0123", header="path,label,fold")})
    assert labelled(found) == RIGHT
    assert "not read: fold" in found.notes[0]


def test_kaggle(tmp_path: Path) -> None:
    tree: Tree = {
        "train": 3,
        "test": 3,
        "train.csv": csv(("000", "001", "002"), "aba", header="id,label"),
        "test.csv": "id\n000\n001\n002\n",
        "sample_submission.csv": csv(("000", "001", "002"), "aaa", header="id,label"),
    }
    found = read(tmp_path, tree)
    assert list(labelled(found)) == ["train/000.jpg", "train/001.jpg", "train/002.jpg"]
    assert account(found.left_out)["images that train.csv does not list"] == 3
    assert any(note.startswith("test.csv is not read") for note in found.notes)
    assert any(note.startswith("sample_submission.csv is not read") for note in found.notes)


def test_a_table_that_agrees_with_the_folders_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, {"a": 1, "b": 1, "labels.csv": csv(("a/000.jpg", "b/000.jpg"), "ab")})
    assert labelled(found) == {"a/000.jpg": ("a", None), "b/000.jpg": ("b", None)}


def test_a_table_that_disagrees_with_the_folders_is_refused_unless_it_is_given_itself(tmp_path: Path) -> None:
    tree: Tree = {"a": 1, "b": 1, "labels.csv": csv(("a/000.jpg", "b/000.jpg"), "ba")}
    with pytest.raises(
        UserError, match=r"labels.csv disagrees with the class folders on 2 of 2(.|\n)*--data DIR/labels.csv"
    ):
        read(tmp_path, tree)
    assert labelled(read(tmp_path, {}, "labels.csv"))["a/000.jpg"] == ("b", None)
    with pytest.raises(UserError, match=r"lists 2 of the 10 images in class folders(.|\n)*Two readings"):
        read(tmp_path / "b", {"a": 5, "b": 5, "labels.csv": csv(("a/000.jpg", "b/000.jpg"), "ab")})


@pytest.mark.parametrize("table", ["file_name,width\na/000.jpg,3\n", "width,height\n3,4\n", "just\nlines\n"])
def test_a_table_without_labels_is_left_to_the_folders_and_said(tmp_path: Path, table: str) -> None:
    found = read(tmp_path, {"a": 1, "b": 1, "metadata.csv": table})
    assert {label for label, _ in labelled(found).values()} == {"a", "b"}
    assert found.notes[0].startswith("metadata.csv is not read")


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (csv(PATHS, "0101", "1010", header="filename,cat,dog"), "one-hot columns .cat, dog."),
        (csv(PATHS, LABELS, "1234", header="filename,class,xmin"), "boxes or outlines"),
        (
            csv(PATHS, LABELS, "abba", header="path,breed,species"),
            "several columns that may be the label: breed",
        ),
        (csv(["http://x/1.jpg"], "a"), "line 2: http://x/1.jpg is a URL"),
        (csv(["x/1.jpg"], "a"), "1 of the 1 files of t.csv are missing"),
        (csv(["000.jpg"], "a"), "000.jpg may be any of camera0/000.jpg, camera1/000.jpg"),
        (csv(PATHS, LABELS, "1234", header=""), "has no header, and its 3 columns"),
        (csv(PATHS + PATHS, LABELS + LABELS), "lists 4 files more than once"),
        (csv(PATHS, ["train"] * 4, LABELS, header="path,split,width"), "not in class|t.csv is not read"),
    ],
)
def test_what_a_table_leaves_open_is_refused(tmp_path: Path, table: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        read(tmp_path, {**CAMERAS, "t.csv": table} if "split" not in table else {"": 4, "t.csv": table})


@pytest.mark.parametrize(
    ("tables", "sentence"),
    [
        (("a.csv", "b.csv"), "has 2 tables that list images: a.csv, b.csv(.|\n)*--data DIR/a.csv"),
        (("train.csv", "labels.csv"), "2 tables that list images"),
        (("train.csv", "training.csv"), "2 tables that list images"),
        (("train.csv", "test.csv"), "x/000.jpg is listed in test.csv and in train.csv"),
    ],
)
def test_several_tables_are_refused_by_name(tmp_path: Path, tables: Sequence[str], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        read(tmp_path, {"x": 1, **dict.fromkeys(tables, csv(["x/000.jpg"], "a"))})


def test_codes_and_names_of_the_same_classes_are_one_column(tmp_path: Path) -> None:
    table = csv(PATHS, "0101", LABELS, header="path,class_id,class_name")
    assert labelled(read(tmp_path, {**CAMERAS, "t.csv": table})) == RIGHT


def test_absolute_paths_into_the_folder_are_its_files(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    found = read(tmp_path, {**CAMERAS, "t.csv": csv([str(root / path) for path in PATHS], LABELS)}, "t.csv")
    assert {item.label for item in found.items} == {"daisy", "rose"}
    assert len(found.items) == 4


SPLIT: Tree = {"train/cat": 2, "train/dog": 2, "test/cat": 1, "test/dog": 1}
IN_TRAIN = tuple(f"train/{c}/00{i}.jpg" for c in ("cat", "dog") for i in (0, 1))
IN_TEST = ("test/cat/000.jpg", "test/dog/000.jpg")
CLASSES = ("cat", "cat", "dog", "dog")


@pytest.mark.parametrize(
    ("tree", "table", "sentence"),
    [
        (
            CAMERAS,
            csv(PATHS, ("Felis, wild", "Felis, tame", "x", "x")),
            "it has 3 fields, and the first line 2",
        ),
        (CAMERAS, csv(PATHS, LABELS, "abcd"), "line 2: it has 3 fields"),
        (CAMERAS, csv(PATHS, ("cat", "nan", "cat", "dog")), "line 3: the label is nan, which stands for a missing one"),
        (
            SPLIT,
            csv(IN_TRAIN + IN_TEST, (*CLASSES, "cat", "dog"), ["test"] * 4 + ["train"] * 2, header="path,label,split"),
            "disagrees with the folders on the split of 6 of 6 images",
        ),
        (SPLIT, csv(IN_TRAIN, CLASSES), "lists no image of the split test, which the folders have"),
    ],
)
def test_what_a_table_would_change_in_silence_is_refused(tmp_path: Path, tree: Tree, table: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        read(tmp_path, {**tree, "labels.csv": table})


def test_a_table_that_is_given_itself_decides(tmp_path: Path) -> None:
    alone = read(tmp_path / "one", {**SPLIT, "labels.csv": csv(IN_TRAIN, CLASSES)}, "labels.csv")
    assert len(alone.items) == 4
    swapped = csv(IN_TRAIN + IN_TEST, (*CLASSES, "cat", "dog"), ["test"] * 4 + ["train"] * 2, header="path,label,split")
    given = read(tmp_path / "two", {**SPLIT, "labels.csv": swapped}, "labels.csv")
    assert {item.id.partition("/")[0]: item.split for item in given.items} == {"train": "test", "test": "train"}
