from __future__ import annotations

from pathlib import Path

import pytest
from annotated_trees import H, Tree, W, objects, opened, splits, surveyed, turned, xml
from fakes import photograph
from trees import account, entries

from export.errors import UserError

BOXES = [("dog", 2, 3, 9, 11), ("cat", 1, 1, W, H)]


def pages(image: str = "JPEGImages/{}", page: str = "Annotations/{}", count: int = 10) -> Tree:
    tree: Tree = {}
    for i in range(count):
        tree[image.format(i) + ".jpg"] = photograph(i, H, W)
        tree[page.format(i) + ".xml"] = xml(BOXES)
    return tree


def lists(**stems: str) -> Tree:
    return {f"ImageSets/Main/{name}.txt": "\n".join(text.split()) + "\n" for name, text in stems.items()}


def test_corners_count_from_one_and_include_their_pixels(tmp_path: Path) -> None:
    found = surveyed(tmp_path, pages())
    data = found.data
    assert (data.kind, data.classes) == ("boxes", ("cat", "dog"))
    assert objects(data)[0].boxes.tolist() == [[1, 2, 9, 11], [0, 0, W, H]]
    assert objects(data)[0].labels.tolist() == [1, 0]
    assert any("corners count from 1, and include their pixels" in note for note in data.remarks)
    assert account(found.left_out) == {"annotations, read for the objects": 10}
    assert len(data.samples) + sum(account(found.left_out).values()) == entries(tmp_path / "photos")


def test_a_box_that_begins_at_zero_makes_all_corners_count_from_zero(tmp_path: Path) -> None:
    data = opened(tmp_path, pages() | {"Annotations/3.xml": xml([("dog", 0, 3, 9.5, 11)])})
    row = next(i for i, sample in enumerate(data.samples) if sample.id.endswith("/3.jpg"))
    assert objects(data)[row].boxes.tolist() == [[0, 3, 9.5, 11]]
    assert objects(data)[row - 1].boxes.tolist()[0] == [2, 3, 9, 11]
    assert any("corners count from 0" in note and "Annotations/3.xml, object 1" in note for note in data.remarks)


def test_the_lists_of_main_are_the_splits(tmp_path: Path) -> None:
    given = lists(
        train="0 1 2 3 4", val="5 6", trainval="0 1 2 3 4 5 6", test="7 8 77", dog_train="0 1", aeroplane_val="5"
    )
    found = surveyed(tmp_path, pages() | given)
    data = found.data
    assert (splits(data), data.splits_from) == ((5, 2, 2), "given")
    assert account(found.left_out)["images that no list of a split names"] == 1
    assert any("1 listed images that are not there or have no annotation (77)" in note for note in data.remarks)


def test_trainval_is_train_where_there_is_no_train(tmp_path: Path) -> None:
    data = opened(tmp_path / "a", pages() | lists(trainval="0 1 2 3 4 5 6", test="7 8 9"))
    assert splits(data) == (5, 2, 3)
    assert "val = 20% of train, duplicates together" in data.splits_from
    assert splits(opened(tmp_path / "b", pages() | lists(trainval="0 1 2 3 4 5 6", val="5 6", test="7 8 9"))) == (
        5,
        2,
        3,
    )
    with pytest.raises(UserError, match=r"0.jpg is listed as train and as val"):
        opened(tmp_path / "c", pages() | lists(train="0 1 2 3 4", val="0 5"))


@pytest.mark.parametrize(
    ("image", "page"),
    [("{s}/{}", "{s}/{}"), ("images/{s}/{}", "annotations/{s}/{}"), ("{s}/Images/é {}", "{s}/Annotations/é {}")],
)
def test_folders_are_splits(tmp_path: Path, image: str, page: str) -> None:
    tree: Tree = {}
    for split, numbers in {"train": range(6), "valid": range(6, 8), "test": range(8, 10)}.items():
        for i in numbers:
            tree[image.replace("{s}", split).format(i) + ".JPG"] = photograph(i, H, W)
            tree[page.replace("{s}", split).format(i) + ".xml"] = xml(BOXES, filename="another.jpg")
    assert splits(opened(tmp_path, tree)) == (6, 2, 2)


def test_an_image_is_found_by_the_name_in_the_file(tmp_path: Path) -> None:
    tree = pages()
    tree["Annotations/first.xml"] = xml(BOXES, filename="0.jpg")
    del tree["Annotations/0.xml"]
    assert len(opened(tmp_path, tree).samples) == 10


def test_difficult_objects_are_neither_right_nor_wrong(tmp_path: Path) -> None:
    data = opened(tmp_path, pages() | {"Annotations/0.xml": xml([("dog", 2, 3, 9, 11, True), ("cat", 1, 1, 9, 9)])})
    row = next(i for i, sample in enumerate(data.samples) if sample.id.endswith("/0.jpg"))
    assert objects(data)[row].crowd.tolist() == [True, False]
    assert any("1 difficult objects" in note for note in data.remarks)


def test_images_without_objects_and_without_files(tmp_path: Path) -> None:
    tree = pages() | {"Annotations/0.xml": xml([])}
    del tree["Annotations/1.xml"], tree["JPEGImages/2.jpg"]
    found = surveyed(tmp_path, tree)
    counts = account(found.left_out)
    assert len(found.data.samples) == 8
    assert counts["images without an annotation file"] == counts["annotation files whose image is not there"] == 1
    assert any("1 images without an object (JPEGImages/0.jpg)" in note for note in found.data.remarks)


def test_classes_are_in_the_order_of_a_class_file(tmp_path: Path) -> None:
    assert opened(tmp_path, pages() | {"labels.txt": "dog\ncat\nowl\n"}).classes == ("dog", "cat", "owl")


def test_a_turned_picture_is_known_by_its_sides(tmp_path: Path) -> None:
    page = xml([("dog", 4, 2, 9, 30)], size=(W, H))
    data = opened(tmp_path, pages() | {"JPEGImages/0.jpg": turned(0, 6), "Annotations/0.xml": page})
    row = next(i for i, sample in enumerate(data.samples) if sample.id.endswith("/0.jpg"))
    assert objects(data)[row].boxes.tolist() == [[1, H - 9, 30, H - 3]]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"Annotations/0.xml": xml(BOXES)[:-40]}, r"0.xml looks like a Pascal VOC annotation(.|\n)*damaged or cut off"),
        ({"Annotations/0.xml": xml(BOXES, size=(50, 60))}, r"1 of 10 images have another size(.|\n)*60 x 50"),
        ({"Annotations/0.xml": xml([("dog", "a", 1, 2, 3)])}, r"0.xml, object 1 has a bndbox without four numbers"),
        ({"Annotations/0.xml": xml([("", 1, 1, 2, 3)])}, r"0.xml, object 1 lacks a name"),
        ({"Annotations/0.xml": xml([("dog", "nan", 1, 2, 3)])}, r"box that is not finite"),
        ({"b/Annotations/0.xml": xml(BOXES)}, r"JPEGImages/0.jpg has several annotation files"),
        ({f"Annotations/{i}.xml": xml([]) for i in range(10)}, "None of the 10 images has an object"),
        ({"labels/0.txt": "0 0.5 0.5 0.2 0.2\n"}, r"Pascal VOC annotations and YOLO annotations(.|\n)*Two readings"),
    ],
)
def test_what_would_give_a_wrong_number_is_refused(tmp_path: Path, change: Tree, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        opened(tmp_path, pages() | change)


def test_boxes_outside_are_clipped_or_left_out(tmp_path: Path) -> None:
    odd = [("dog", 2, 3, 99, 11), ("dog", 40, 3, 99, 11), ("dog", 9, 3, 2, 11), ("dog", 2, 3, W + 1, 11)]
    data = opened(tmp_path, pages() | {"Annotations/0.xml": xml(odd)})
    row = next(i for i, sample in enumerate(data.samples) if sample.id.endswith("/0.jpg"))
    assert objects(data)[row].boxes.tolist() == [[1, 2, W, 11]]
    said = " ".join(data.remarks)
    for sentence in (
        "1 boxes that reach outside",
        "1 boxes outside",
        "1 boxes of no area",
        "1 objects that are there twice",
    ):
        assert sentence in said
