from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotated_trees import (
    H,
    Tree,
    W,
    boxed,
    coco,
    dumped,
    objects,
    opened,
    pictures,
    splits,
    surveyed,
    turned,
)
from fakes import photograph
from hotcoco import mask as rle
from trees import account, entries

from export.errors import UserError
from export.store import Store
from tasks.data.catalog import open_dataset

NAMES, OBJECTS = boxed()
PARTS = {"train": NAMES[:6], "val": NAMES[6:8], "test": NAMES[8:]}


def part(split: str, **more: Any) -> dict[str, Any]:
    return coco(PARTS[split], {name: OBJECTS[name] for name in PARTS[split]}, **more)


def whole(change: dict[str, Any] | None = None, **more: Any) -> Tree:
    """All pictures and one file, with a change of the first annotation."""
    document = coco(NAMES, OBJECTS, **more)
    if change:
        document["annotations"][0] |= change
    return {**pictures(NAMES), "annotations.json": dumped(document)}


@pytest.mark.parametrize(
    ("folder", "file"),
    [
        ("images/", "annotations/{}.json"),
        ("{}2017/", "annotations/instances_{}2017.json"),
        ("{}/", "{}/_annotations.coco.json"),
        ("data set/{}/", "data set/{}.json"),
    ],
)
def test_files_are_splits_by_their_names_or_folders(tmp_path: Path, folder: str, file: str) -> None:
    tree: Tree = {}
    for split, names in PARTS.items():
        tree |= {f"{folder.format(split)}{name}": photograph(int(name[0]), H, W) for name in names}
        tree[file.format(split)] = dumped(part(split))
    found = surveyed(tmp_path, tree)
    data = found.data
    assert (data.kind, data.classes, splits(data)) == ("boxes", ("cat", "dog"), (6, 2, 2))
    for sample, those in zip(data.samples, objects(data).pictures, strict=True):
        i = int(Path(sample.id).stem)
        assert those.boxes.tolist() == [[1 + i, 2, 6 + i, 8], [10, 3 + i, 18.5, 7 + i]]
        assert those.labels.tolist() == [0, 1]
        assert those.areas.tolist() == [30, 34]
    assert account(found.left_out) == {"annotations, read for the objects": 3}
    assert found.counts == {name: {"train": 6, "val": 2, "test": 2} for name in ("cat", "dog")}
    assert len(data.samples) + sum(account(found.left_out).values()) == entries(tmp_path / "photos")


@pytest.mark.parametrize(
    "written", ["C:\\data\\photos\\images\\{}", "/home/me/images/{}", "images\\{}", "./images/{}", "../images/{}", "{}"]
)
def test_names_are_found_however_they_are_written(tmp_path: Path, written: str) -> None:
    document = coco(NAMES, OBJECTS)
    for image in document["images"]:
        image["file_name"] = written.format(image["file_name"].upper())
    data = opened(tmp_path, {**pictures(NAMES), "json/all.json": dumped(document)})
    assert len(data.samples) == 10
    assert data.splits_from.startswith("seeded 60/20/20, duplicates")


def test_nothing_outside_the_source_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(photograph(1, H, W))
    document = coco([*NAMES, str(tmp_path / "secret.jpg"), "../secret.jpg"], OBJECTS)
    data = opened(tmp_path, {**pictures(NAMES), "a.json": dumped(document)})
    assert len(data.samples) == 10
    assert any("2 images that are not there" in note for note in data.remarks)


SQUARE = [4, 4, 12, 4, 12, 12, 4, 12]
BOW = [2, 2, 18, 20, 18, 2, 2, 20]


def shaped(segmentation: Any, **more: Any) -> dict[str, Any]:
    return {"bbox": [4, 4, 8, 8], "segmentation": segmentation, **more}


def test_polygons_and_codes_are_shapes(tmp_path: Path) -> None:
    mask = np.zeros((H, W), np.uint8)
    mask[4:12, 4:12] = 1
    code = rle.encode(np.asfortranarray(mask))
    flat = mask.T.ravel()
    cuts = [0, *(np.flatnonzero(np.diff(flat)) + 1).tolist(), flat.size]
    runs = np.diff(cuts).tolist()
    forms: list[Any] = [
        [SQUARE],
        {"size": [H, W], "counts": runs},
        {"size": [H, W], "counts": code["counts"].decode()},
        [SQUARE, [20, 4, 24, 4, 24, 8, 20, 8]],
        [BOW],
    ]
    those = {"0.jpg": [shaped(form, category_id=3 if i else 7, bbox=[4, 4, 8 + i, 8]) for i, form in enumerate(forms)]}
    those["1.jpg"] = [shaped({"size": [H, W], "counts": runs}, iscrowd=1)]
    document = coco(NAMES, those)
    del document["annotations"][3]["bbox"]
    data = opened(tmp_path, {**pictures(NAMES), "a.json": dumped(document)})
    assert data.kind == "shapes"
    found = objects(data)
    assert found.shaped
    row = next(i for i, sample in enumerate(data.samples) if sample.id == "images/0.jpg")
    decoded = [rle.decode({"size": [H, W], "counts": counts}) for counts in found[row].shapes]
    for one in decoded[:3]:
        np.testing.assert_array_equal(one, mask)
    assert [int(one.sum()) for one in decoded] == found[row].areas.tolist()
    assert found[row].boxes[3].tolist() == [4, 4, 24, 12]
    other = next(i for i, sample in enumerate(data.samples) if sample.id == "images/1.jpg")
    assert found[other].crowd.tolist() == [True]
    assert any("1 outlines that cross themselves" in note for note in data.remarks)
    assert any("8 images without an object" in note for note in data.remarks)


def test_some_without_a_shape_make_boxes_of_all(tmp_path: Path) -> None:
    data = opened(tmp_path, whole({"segmentation": [SQUARE]}))
    assert (data.kind, objects(data).shaped, objects(data)[0].shapes) == ("boxes", False, ())
    assert any("19 of 20 objects have no shape" in note for note in data.remarks)


@pytest.mark.parametrize(
    ("change", "remark", "kept"),
    [
        (
            {"bbox": [-3, 2, 8, 6]},
            "1 boxes that reach outside their picture, clipped (annotations.json, annotation 100)",
            20,
        ),
        ({"bbox": [W + 1, 2, 5, 6]}, "1 boxes outside their picture, left out", 19),
        ({"bbox": [1, 2, 0, 6]}, "1 boxes of no area, left out", 19),
        ({"bbox": [6, 2, -4, 6]}, "1 boxes of no area, left out", 19),
        ({"bbox": None}, "1 annotations without box or shape, left out", 19),
        ({"image_id": 77}, "1 annotations of images that the file does not list, left out", 19),
        ({"id": 101}, "1 ids that several annotations have; all are read (101)", 20),
        ({"bbox": [10, 3, 8.5, 4], "category_id": 7}, "1 objects that are there twice, kept once", 19),
    ],
)
def test_what_is_odd_is_counted(tmp_path: Path, change: dict[str, Any], remark: str, kept: int) -> None:
    data = opened(tmp_path, whole(change))
    assert any(remark in note for note in data.remarks), data.remarks
    found = objects(data)
    assert sum(map(len, found.pictures)) == kept
    for those in found.pictures:
        assert (those.boxes >= 0).all()
        assert (those.boxes <= [W, H, W, H]).all()
        assert (those.boxes[:, 2:] > those.boxes[:, :2]).all()


def test_shapes_without_pixels_are_left_out(tmp_path: Path) -> None:
    those = {name: [shaped([SQUARE])] for name in NAMES}
    those["0.jpg"] += [
        shaped([[1, 1, 5, 5]]),
        shaped([[40, 40, 44, 40, 44, 44]]),
        shaped([SQUARE, [1, 1, 2, 2]], bbox=[1, 1, 2, 2]),
    ]
    data = opened(tmp_path, {**pictures(NAMES), "a.json": dumped(coco(NAMES, those))})
    assert any("2 shapes of fewer than three points or no pixel" in note for note in data.remarks)
    assert sum(map(len, objects(data).pictures)) == 11


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"category_id": 5},
            r"annotation 100 has the category 5, which the file does not list(.|\n)*7 \(dog\), 3 \(cat\)",
        ),
        ({"bbox": [1, 2, 3]}, r"annotation 100 has a bbox of 3 numbers"),
        ({"bbox": None, "segmentation": [[1, 2, 3, 4, 5]]}, "its shape has an odd count of coordinates"),
        ({"bbox": None, "segmentation": [["a"]]}, "its shape holds something that is no number"),
        ({"bbox": None, "segmentation": {"size": [W, H], "counts": "abc"}}, r"run-length code of the size \[32, 24\]"),
        ({"bbox": None, "segmentation": {"size": [H, W], "counts": [5, 6]}}, "run-length code of 11 pixels"),
        ({"bbox": None, "segmentation": {"size": [H, W], "counts": "zzzzzz"}}, r"run-length code of [-\d,]+ pixels"),
        ({"bbox": ["x", 1, 2, 3]}, r"annotations.json looks like COCO(.|\n)*annotations\[0\].bbox"),
    ],
)
def test_what_means_nothing_is_refused(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        opened(tmp_path, whole(change))


def other(**change: Any) -> Tree:
    document = coco(NAMES, OBJECTS)
    for key, values in change.items():
        for at, value in values.items():
            document[key][at] |= value
    return {**pictures(NAMES), "annotations.json": dumped(document)}


@pytest.mark.parametrize(
    ("tree", "sentence"),
    [
        (
            other(images={2: {"width": 64, "height": 48}}),
            r"1 of 10 images have another size(.|\n)*2.jpg: 32 x 24(.|\n)*64 x 48",
        ),
        (other(images={2: {"id": 3}}), "2 images with the id 3"),
        (other(images={2: {"file_name": "3.jpg"}}), r"2 entries for the image images/3.jpg"),
        (other(categories={0: {"id": 3}}), "2 categories with the id 3"),
        (other(categories={0: {"name": "cat"}}), "2 categories with the name cat"),
        (whole(annotations=[]), "None of the 10 images has an object"),
        (whole() | {"annotations.json": dumped(coco(NAMES, OBJECTS))[:-60]}, "looks like COCO(.|\n)*truncated"),
        (whole() | {"b.json": dumped(coco(NAMES, OBJECTS))}, "2 files of COCO annotations"),
        (
            {**pictures(NAMES), "train.json": dumped(part("train")), "val.json": dumped(coco(NAMES, OBJECTS))},
            r"images/0.jpg is listed in train.json and in val.json",
        ),
        (
            {"a/1.jpg": photograph(1), "b/1.jpg": photograph(2), "x.json": dumped(coco(["1.jpg"], {}))},
            "several images have this name",
        ),
        (
            {"images/x.jpg": photograph(1), "x.json": dumped(coco(["1.jpg"], {}))},
            r"none of the 1 images that it lists is here|only one class",
        ),
        (
            {**pictures(NAMES), "a.json": dumped(coco(NAMES, {n: [{"bbox": [10, 8, 30, 22]}] for n in NAMES}))},
            r"10 of 10 boxes reach outside(.|\n)*x, y, width, height",
        ),
    ],
)
def test_files_that_contradict_are_refused(tmp_path: Path, tree: Tree, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        opened(tmp_path, tree)


def test_files_that_are_not_objects_are_passed_over(tmp_path: Path) -> None:
    tree: Tree = {
        f"{split}2017/{name}": photograph(int(name[0]), H, W) for split in ("train", "val") for name in PARTS[split]
    }
    for split in ("train", "val"):
        tree[f"annotations/instances_{split}2017.json"] = dumped(part(split))
        tree[f"annotations/person_keypoints_{split}2017.json"] = dumped(part(split))
        tree[f"annotations/captions_{split}2017.json"] = dumped(
            part(split, annotations=[{"image_id": 0, "caption": "a", "id": 1}])
        )
    bare = part("train")
    del bare["annotations"]
    tree["annotations/image_info_test2017.json"] = dumped(bare)
    found = surveyed(tmp_path, tree)
    assert splits(found.data) == (5, 1, 2)
    said = " ".join(found.data.remarks)
    for word in (
        "captions_train2017.json has captions",
        "person_keypoints_val2017.json is not read",
        "info_test2017.json has no",
    ):
        assert word in said
    assert open_dataset(f"coco={tmp_path / 'photos'}", Store(tmp_path / "store")).digest == found.data.digest


def test_a_file_of_all_beside_the_splits_is_passed_over(tmp_path: Path) -> None:
    tree = {**pictures(NAMES), "all.json": dumped(coco(NAMES, OBJECTS))}
    tree |= {f"{split}.json": dumped(part(split)) for split in PARTS}
    data = opened(tmp_path, tree)
    assert splits(data) == (6, 2, 2)
    assert any("all.json is not read" in note for note in data.remarks)


def test_classes_are_held_together_by_their_names(tmp_path: Path) -> None:
    tree = {**pictures(NAMES), **{f"{split}.json": dumped(part(split)) for split in ("train", "val")}}
    swapped = part("test", categories=[{"id": 3, "name": "dog"}, {"id": 7, "name": "owl"}])
    data = opened(tmp_path, {**tree, "test.json": dumped(swapped)})
    assert data.classes == ("cat", "dog", "owl")
    assert [objects(data)[row].labels.tolist() for row in (0, 9)] == [[0, 1], [1, 2]]
    said = " ".join(data.remarks)
    assert "classes without objects in train: owl" in said
    assert "classes without objects in test: cat" in said


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_annotations_of_the_turned_picture_are_turned_back(tmp_path: Path, orientation: int) -> None:
    from PIL import Image, ImageOps

    stored = np.zeros((H, W), np.uint8)
    stored[3:9, 5:16] = 1
    image = Image.fromarray(stored)
    image.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(image))
    rows, columns = np.flatnonzero(upright.any(1)), np.flatnonzero(upright.any(0))
    x1, y1, x2, y2 = (int(n) for n in (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
    box = [x1, y1, x2 - x1, y2 - y1]
    code = rle.encode(np.asfortranarray(upright))
    forms: list[Any] = [
        [[x1, y1, x2, y1, x2, y2, x1, y2]],
        {"size": [W, H], "counts": code["counts"].decode()},
    ]
    document = coco(
        NAMES,
        {"0.jpg": [{"bbox": box, "segmentation": form, "category_id": 3 + 4 * i} for i, form in enumerate(forms)]},
    )
    document["images"][0] |= {"width": H, "height": W}
    tree = {**pictures(NAMES), "images/0.jpg": turned(0, orientation), "a.json": dumped(document)}
    data = opened(tmp_path, tree)
    row = next(i for i, sample in enumerate(data.samples) if sample.id == "images/0.jpg")
    found = objects(data)[row]
    assert found.boxes.tolist() == [[5, 3, 16, 9]] * 2
    for counts in found.shapes:
        np.testing.assert_array_equal(rle.decode({"size": [H, W], "counts": counts}), stored)
    assert any("turned back" in note for note in data.remarks)


def test_hundreds_of_tiny_objects_of_one_class(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    those = {
        name: [{"bbox": [*draw.uniform(0, 20, 2).tolist(), 0.5, 0.25], "category_id": 1} for _ in range(300)]
        for name in NAMES
    }
    data = opened(
        tmp_path, {**pictures(NAMES), "a.json": dumped(coco(NAMES, those, categories=[{"id": 1, "name": "é"}]))}
    )
    assert (data.classes, {len(one) for one in objects(data).pictures}) == (("é",), {300})


def test_an_unused_category_of_the_same_name_is_the_same_class(tmp_path: Path) -> None:
    categories = [{"id": 0, "name": "cat"}, {"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}]
    assert opened(tmp_path, whole(categories=categories)).classes == ("cat", "dog")


def test_one_file_of_one_split_is_the_whole_set(tmp_path: Path) -> None:
    tree = {**pictures(NAMES, "val2017/"), "annotations/instances_val2017.json": dumped(coco(NAMES, OBJECTS))}
    data = opened(tmp_path, tree)
    assert splits(data) == (6, 2, 2)
    assert any("all annotations are of val: the whole set" in note for note in data.remarks)


def test_a_changed_object_is_another_data_set(tmp_path: Path) -> None:
    trees = [whole(), whole(), whole({"bbox": [1, 2, 5, 6.5]}), whole({"category_id": 7}), whole({"iscrowd": 1})]
    sets = [opened(tmp_path / str(i), tree) for i, tree in enumerate(trees)]
    assert sets[0].digest == sets[1].digest
    assert len({data.digest for data in sets}) == len({data.learning for data in sets}) == 4


@pytest.mark.parametrize(
    ("file", "content", "what"),
    [
        ("images/0.json", '{"version": "5", "shapes": [], "imagePath": "0.jpg"}', "LabelMe"),
        ("via.json", '{"0.jpg": {"regions": [{"shape_attributes": {"name": "rect"}}]}}', "VIA"),
        ("annotations.xml", "<annotations><meta/><image id='0' name='0.jpg'/></annotations>", "CVAT"),
        ("ann/0.jpg.json", '{"objects": [{"classTitle": "cat"}]}', "Supervisely"),
    ],
)
def test_other_formats_are_refused_by_name(tmp_path: Path, file: str, content: str, what: str) -> None:
    with pytest.raises(UserError, match=rf"annotations that are not read: {what}(.|\n)*export them as COCO"):
        opened(tmp_path, {**pictures(NAMES), file: content})


def test_class_folders_stay_class_folders_beside_other_json(tmp_path: Path) -> None:
    tree: Tree = {
        f"{label}/{i}.jpg": photograph(i + 10 * (label > "cat")) for label in ("cat", "dog") for i in range(5)
    }
    data = opened(
        tmp_path, {**tree, "info.json": json.dumps({"images": 10}), "old.json": dumped(coco(["gone.jpg"], {}))}
    )
    assert (data.kind, data.targets) == ("labels", None)
    with pytest.raises(UserError, match="--void is given, and the data set has no masks"):
        opened(tmp_path, {}, void=(3,))


def test_void_is_of_masks(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--void is given, and the data set has no masks"):
        opened(tmp_path, whole(), void=(3,))
