from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from annotated_trees import H, Tree, W, objects, opened, splits, surveyed, turned
from fakes import photograph
from hotcoco import mask as rle
from trees import account, entries

from export.errors import UserError

PARTS = {"train": range(6), "val": range(6, 8), "test": range(8, 10)}
NAMES = "names: [cat, dog]\n"
BOX = "1 0.5 0.25 0.25 0.5\n0 0.125 0.125 0.25 0.25\n"
OUTLINE = "0 0.25 0.25 0.5 0.25 0.5 0.75 0.25 0.75\n"


def folders(image: str = "images/{s}/{i}", label: str = "labels/{s}/{i}", text: str = BOX) -> Tree:
    tree: Tree = {}
    for split, numbers in PARTS.items():
        for i in numbers:
            tree[image.format(s=split, i=i) + ".jpg"] = photograph(i, H, W)
            tree[label.format(s=split, i=i) + ".txt"] = text
    return tree


SETTINGS = {
    "list": "path: ../datasets/pets\ntrain: images/train\nval: images/val\ntest: images/test\n" + NAMES,
    "mapping": "train: ./images/train/\nval: ./images/val/\ntest: images/test\nnames:\n  0: cat\n  1: dog\n",
    "windows": "path: C:\\data\\pets\ntrain: images\\train\nval: images\\val\ntest: images\\test\n" + NAMES,
    "roboflow": "train: ../train/images\nval: ../val/images\ntest: ../test/images\nnc: 2\n" + NAMES,
}


@pytest.mark.parametrize("settings", SETTINGS)
def test_settings_say_classes_and_splits(tmp_path: Path, settings: str) -> None:
    layout = ("{s}/images/{i}", "{s}/labels/{i}") if settings == "roboflow" else ("images/{s}/{i}", "labels/{s}/{i}")
    found = surveyed(tmp_path, folders(*layout) | {"data.yaml": SETTINGS[settings]})
    data = found.data
    assert (data.kind, data.classes, splits(data), data.splits_from) == ("boxes", ("cat", "dog"), (6, 2, 2), "given")
    assert objects(data)[0].boxes.tolist() == [[12, 0, 20, 12], [0, 0, 8, 6]]
    assert objects(data)[0].labels.tolist() == [1, 0]
    assert account(found.left_out) == {"annotations, read for the objects": 10, "settings of the data set, read": 1}
    assert len(data.samples) + sum(account(found.left_out).values()) == entries(tmp_path / "photos")


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("{s}/images/{i}", "{s}/labels/{i}"),
        ("{s}/{i}", "{s}/{i}"),
        ("my set/images/{s}/é {i}", "my set/labels/{s}/é {i}"),
        ("images/{s}/deep/er/{i}", "labels/{s}/deep/er/{i}"),
    ],
)
def test_folders_are_splits_without_settings(tmp_path: Path, image: str, label: str) -> None:
    data = opened(tmp_path, folders(image, label) | {"classes.txt": "cat\ndog\n"})
    assert (data.classes, splits(data)) == (("cat", "dog"), (6, 2, 2))


def test_classes_beside_the_labels(tmp_path: Path) -> None:
    found = surveyed(tmp_path, folders() | {"labels/train/classes.txt": "cat\ndog\n"})
    assert found.data.classes == ("cat", "dog")
    assert account(found.left_out) == {"annotations, read for the objects": 10, "names of classes, read": 1}


def test_a_label_file_belongs_to_the_image_nearest_to_it(tmp_path: Path) -> None:
    tree = folders() | folders("{s}/images/{i}", "{s}/labels/{i}") | {"0.jpg": photograph(77, H, W), "0.txt": BOX}
    assert len(opened(tmp_path, tree).samples) == 20


def test_lists_of_images_are_splits(tmp_path: Path) -> None:
    tree = folders("obj_train_data/{i}", "obj_train_data/{i}") | {"obj.names": "cat\ndog\n"}
    for split, numbers in PARTS.items():
        tree[f"{split}.txt"] = "".join(f"data/obj_train_data/{i}.jpg\n" for i in numbers)
    found = surveyed(tmp_path, tree)
    assert (splits(found.data), found.data.classes) == ((6, 2, 2), ("cat", "dog"))
    assert account(found.left_out)["lists of splits, read"] == 3


def test_the_same_images_for_two_splits_are_no_splits(tmp_path: Path) -> None:
    tree = folders("images/train2017/{i}", "labels/train2017/{i}")
    tree["coco8.yaml"] = "train: images/train2017\nval: images/train2017\ntest:\n" + NAMES
    data = opened(tmp_path, tree)
    assert data.splits_from.startswith("seeded 60/20/20")
    assert any("coco8.yaml gives the same images for train and val" in note for note in data.remarks)


def test_outlines_are_shapes(tmp_path: Path) -> None:
    data = opened(tmp_path, folders(text=OUTLINE))
    assert (data.kind, data.classes) == ("shapes", ("0",))
    found = objects(data)[0]
    mask = np.zeros((H, W), np.uint8)
    mask[6:18, 8:16] = 1
    np.testing.assert_array_equal(rle.decode({"size": [H, W], "counts": found.shapes[0]}), mask)
    assert (found.boxes.tolist(), found.areas.tolist()) == ([[8, 6, 16, 18]], [96])


def test_boxes_and_outlines_together_are_boxes(tmp_path: Path) -> None:
    data = opened(tmp_path, folders(text=OUTLINE + "0 0.5 0.5 0.1 0.1\n"))
    assert data.kind == "boxes"
    assert objects(data)[0].boxes.tolist()[0] == [8, 6, 16, 18]


def test_images_without_objects(tmp_path: Path) -> None:
    tree = folders() | {"labels/train/0.txt": "", "labels/train/1.txt": "\n\n"}
    del tree["labels/train/2.txt"], tree["images/train/3.jpg"]
    found = surveyed(tmp_path, tree)
    assert len(found.data.samples) == 9
    said = " ".join(found.data.remarks)
    assert "1 images without a label file: read as images without objects (images/train/2.jpg)" in said
    assert "3 images without an object" in said
    assert account(found.left_out)["label files whose image is not there"] == 1


def test_a_split_without_label_files_is_left_out(tmp_path: Path) -> None:
    tree = {name: content for name, content in folders().items() if not name.startswith("labels/test")}
    found = surveyed(tmp_path, tree)
    assert splits(found.data) == (5, 1, 2)
    assert account(found.left_out)["images of a split that has no label files"] == 2


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_coordinates_are_of_the_picture_as_it_is_looked_at(tmp_path: Path, orientation: int) -> None:
    data = opened(tmp_path, folders(text=OUTLINE) | {"images/train/0.jpg": turned(0, orientation)})
    row = next(i for i, sample in enumerate(data.samples) if sample.id.endswith("/0.jpg"))
    expected = {3: [16, 6, 24, 18], 6: [8, 12, 24, 18], 8: [8, 6, 24, 12]}[orientation]
    assert objects(data)[row].boxes.tolist() == [expected]
    assert any("turned back" in note for note in data.remarks)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("2 0.5 0.5 0.1 0.1", r"train/0.txt, line 3 has the class 2; data.yaml names 2(.|\n)*0 cat, 1 dog"),
        ("0.5 0.5 0.5 0.1 0.1", "begins with 0.5, which is no class number"),
        ("-1 0.5 0.5 0.1 0.1", "begins with -1.0, which is no class number"),
        ("cat 0.5 0.5 0.1 0.1", "line 3 is no object: 'cat 0.5"),
        ("0 0.5 0.5 0.1", "line 3 has 4 numbers"),
        ("0 0.5 0.5 0.1 0.1 0.9", "line 3 has six numbers: a box and a confidence"),
        ("0 0.5 0.5 0.1 0.1 0.9 0.1 0.2", "line 3 has 8 numbers"),
        ("0 nan 0.5 0.1 0.1", "line 3 has a box that is not finite"),
    ],
)
def test_a_line_that_means_nothing_is_refused(tmp_path: Path, line: str, sentence: str) -> None:
    tree = folders() | {"data.yaml": SETTINGS["list"], "labels/train/0.txt": BOX + line}
    with pytest.raises(UserError, match=sentence):
        opened(tmp_path, tree)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"b.yaml": SETTINGS["list"]}, "Several files give classes and splits: b.yaml, data.yaml"),
        ({"data.yaml": SETTINGS["list"] + "kpt_shape: [17, 3]\n"}, "Key points are not read"),
        ({"data.yaml": SETTINGS["list"].replace("images/val", "images")}, "is in train and in val, by data.yaml"),
        ({"data.yaml": "train: images/train\nnames: {1: cat, 2: dog}\n"}, "names classes with gaps"),
        ({name: "0 40 30 12 9\n" for name in folders() if name.endswith("txt")}, "10 of 10 boxes reach outside"),
    ],
)
def test_what_contradicts_is_refused(tmp_path: Path, change: Tree, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        opened(tmp_path, folders() | {"data.yaml": SETTINGS["list"]} | change)


def test_texts_beside_images_of_classes_are_no_labels(tmp_path: Path) -> None:
    tree: Tree = {}
    for label in ("cat", "dog"):
        for i in range(5):
            tree[f"{label}/{i}.jpg"] = photograph(i + 10 * (label > "cat"))
            tree[f"{label}/{i}.txt"] = "a photograph of 2 animals\n"
    assert opened(tmp_path, tree).kind == "labels"
