"""Any folder with annotations: a data set whose objects and masks lie in its pictures, with every file in one count, or
a sentence; and its archive gives the same."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from annotated_trees import H, Tree, W, blocks, saved, turned, xml
from fakes import photograph
from hypothesis import given, settings
from hypothesis import strategies as st
from trees import entries, packed, write

from export.errors import UserError
from fuzz import CASES
from fuzz.test_layouts import place
from tasks.data.base import DataSet
from tasks.data.catalog import Survey, survey
from tasks.data.targets import VOID, Masks, Objects

PICTURES = [photograph(seed, H, W) for seed in range(8)] + [turned(8, 6), turned(9, 3)]
FOLDERS = ("", "images", "train/images", "val/images", "images/train", "images/test", "a b/é", "train", "JPEGImages")
FILES = ("data.yaml", "classes.txt", "class_dict.csv", "ImageSets/Main/train.txt", "train.txt", "x.json", "labels.csv")
TEXTS = (
    "",
    "cat\ndog\n",
    "names: [cat, dog]\ntrain: images/train\nval: images\n",
    "name,r,g,b\na,0,0,0\n",
    "0\n1\n",
    "{}",
)
numbers = st.one_of(st.floats(0, W), st.floats(allow_nan=True), st.integers(-5, 40), st.none(), st.just("x"))
fractions = st.floats(-0.2, 1.2).map(lambda number: f"{number:.3f}")


def nearly(good: st.SearchStrategy[Any], bad: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly the first: where everything is odd, everything is refused by the first check."""
    return st.integers(0, 19).flatmap(lambda at: bad if at == 0 else good)


good_box = st.tuples(*(st.integers(1, 10) for _ in range(4))).map(list)
box = nearly(good_box, st.lists(numbers, max_size=5))
outline = nearly(
    st.lists(st.floats(-2, 40), min_size=6, max_size=12).map(lambda one: one[: len(one) // 2 * 2]), st.just([1, 2])
)
shape = st.one_of(st.none(), st.lists(outline, max_size=2), st.just({"size": [H, W], "counts": [H * W - 9, 9]}))


@st.composite
def documents(draw: st.DrawFn, names: list[str]) -> str:
    images = [
        {
            "id": draw(nearly(st.just(i), st.integers(0, 3))),
            "file_name": name,
            "width": W,
            "height": draw(nearly(st.just(H), numbers)),
        }
        for i, name in enumerate(names)
    ]
    annotations = [
        {
            "id": i,
            "image_id": draw(st.integers(0, len(names))),
            "category_id": draw(nearly(st.sampled_from([1, 5]), st.integers(0, 3))),
            "bbox": draw(box),
            "iscrowd": draw(st.integers(0, 1)),
            **({"segmentation": draw(shape)} if draw(st.booleans()) else {}),
        }
        for i in range(draw(st.integers(0, 6)))
    ]
    categories = [{"id": 1, "name": "cat"}, {"id": 5, "name": "é"}]
    return json.dumps({"images": images, "annotations": annotations, "categories": categories})


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    tree: Tree = {}
    layout = draw(st.sampled_from(["coco", "voc", "yolo", "masks"]))
    for folder in draw(st.lists(st.sampled_from(FOLDERS), min_size=1, max_size=3, unique=True)):
        names = [f"{i}.jpg" for i in range(draw(st.integers(1, 5)))]
        for name in names:
            own = "/".join(filter(None, (folder, name)))
            beside = own.replace("images", "labels").replace("JPEGImages", "Annotations")[:-4]
            tree[own] = draw(st.sampled_from(PICTURES))
            if not draw(st.integers(0, 9)):
                continue
            if layout == "voc":
                boxes = [
                    ("cat", *draw(nearly(good_box, st.just(["", 1, 2, "x"])))) for _ in range(draw(st.integers(0, 3)))
                ]
                tree[f"{beside}.xml"] = xml(boxes)
            elif layout == "yolo":
                lines = [f"{draw(st.integers(0, 2))} {' '.join(draw(st.lists(fractions, min_size=4, max_size=9)))}"]
                lines += [
                    f"0 {' '.join(draw(st.lists(fractions, min_size=4, max_size=4)))}"
                    for _ in range(draw(st.integers(0, 3)))
                ]
                tree[f"{beside}.txt"] = "\n".join(lines if not draw(st.integers(0, 5)) else lines[1:])
            elif layout == "masks":
                values = draw(st.sampled_from([(0, 1), (0, 255), (0, 1, 255), (3, 7)]))
                mask = saved(
                    blocks(len(tree), values, H + (not draw(st.integers(0, 30))), W),
                    draw(st.sampled_from(["", "P", "I;16"])),
                )
                tree[own.replace("images", "masks").replace("JPEGImages", "SegmentationClass")[:-4] + ".png"] = mask
        if layout == "coco":
            tree["/".join(filter(None, (folder, "annotations.json")))] = draw(documents(names))
    for name in draw(st.lists(st.sampled_from(FILES), max_size=2, unique=True)):
        tree[name] = draw(st.sampled_from(TEXTS))
    return tree


def read(path: str, store: Any) -> Survey | str:
    try:
        return survey(path, store, max_unreadable=1.0)
    except UserError as error:
        refusal = error
    assert "b'" not in str(refusal)
    return refusal.what


def check(data: DataSet) -> None:
    if data.targets is None:
        return
    found = data.targets(data.samples)
    for row, sample in enumerate(data.samples):
        height, width = found.sizes[row]
        if isinstance(found, Masks):
            mask = found[row]
            assert mask.shape == (height, width)
            assert mask.dtype == np.int16
            assert VOID <= mask.min() <= mask.max() < len(data.classes)
            continue
        assert isinstance(found, Objects)
        those = found[row]
        assert sample.label == 0
        assert np.isfinite(those.boxes).all()
        assert (those.boxes[:, :2] < those.boxes[:, 2:]).all()
        assert (those.boxes >= 0).all()
        assert (those.boxes <= [width, height, width, height]).all()
        assert ((those.labels >= 0) & (those.labels < len(data.classes))).all()
        assert (those.areas > 0).all()
        assert len(those.shapes) == (len(those) if found.shaped else 0)


@settings(max_examples=CASES)
@given(trees(), st.sampled_from([".zip", ".tar"]))
def test_a_folder_with_annotations_is_read_whole_or_refused(tree: Tree, ending: str) -> None:
    with place() as (where, store):
        root = write(where / "photos", tree)
        found = read(str(root), store)
        again = read(str(packed(root, where / f"photos{ending}")), store)
        if isinstance(found, str):
            assert found == again
            return
        assert isinstance(again, Survey), again
        assert again.data.digest == found.data.digest
        taken = len(found.data.samples) + len(found.data.unreadable)
        assert taken + sum(counted.count for counted in found.left_out) == entries(root)
        check(found.data)
