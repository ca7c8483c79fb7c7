from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotated_trees import H, Tree, W, arrays, blocks, masked, masks, opened, saved, splits, surveyed, turned, xml
from encoders import png
from fakes import photograph
from PIL import Image
from trees import account, entries

from export.errors import UserError
from export.store import Store
from tasks.data.catalog import open_dataset
from tasks.data.dense import mask_files
from tasks.data.targets import VOID


@pytest.mark.parametrize(
    ("of", "names"),
    [
        ("{split}/{role}/{i}", ("images", "masks")),
        ("{role}/{split}/{i}", ("images", "labels")),
        ("a b/{role}/{split}/deeper/é{i}", ("img", "annotations")),
        ("{role}/{split}ing/{i}", ("JPEGImages", "gt")),
        ("{split}{role}/{i}", ("", "annot")),
        ("{split}{role}/{i}", ("", "_labels")),
        ("{split}{role}/{i}", ("_images", "_masks")),
        ("seg/{split}/{role}/{i}", ("Images", "SegmentationClass")),
    ],
)
def test_layouts_of_images_and_masks(tmp_path: Path, of: str, names: tuple[str, str]) -> None:
    tree = masked(of.replace("{split}ing", "{split}"), names)
    if "ing" in of:
        tree = {name.replace("/train/", "/training/"): content for name, content in tree.items()}
    found = surveyed(tmp_path, tree)
    data = found.data
    assert (data.kind, data.classes, splits(data), data.splits_from) == ("masks", ("0", "1", "2"), (6, 2, 2), "given")
    assert {sample.label for sample in data.samples} == {0}
    for sample, mask in zip(data.samples, arrays(data), strict=True):
        number = int(Path(sample.id).stem.removeprefix("é"))
        np.testing.assert_array_equal(mask, blocks(number, (0, 1, 2)))
        assert mask.dtype == np.int16
    assert masks(data).sizes.tolist() == [[H, W]] * 10
    assert account(found.left_out) == {"masks, read": 10}
    assert len(data.samples) + sum(account(found.left_out).values()) == entries(tmp_path / "photos")


@pytest.mark.parametrize("suffix", ["_mask", "_L", "-labelIds", "_gt", ".seg", "_groundtruth"])
def test_what_is_added_to_a_masks_name_is_taken_off(tmp_path: Path, suffix: str) -> None:
    tree = {name.replace(".png", f"{suffix}.PNG"): content for name, content in masked("{role}/{i}").items()}
    if suffix == "_groundtruth":
        with pytest.raises(UserError, match=r"masks of photos do not belong to its images(.|\n)*0_groundtruth"):
            opened(tmp_path, tree)
        return
    data = opened(tmp_path, tree)
    assert (data.kind, len(data.samples)) == ("masks", 10)
    assert data.splits_from == "seeded 60/20/20, duplicates together; seed 0"


def test_names_that_begin_with_what_they_are(tmp_path: Path) -> None:
    tree: Tree = {}
    for name, content in masked("{role}/{i}").items():
        tree[name.replace("images/", "images/img_00").replace("masks/", "masks/mask-00")] = content
    assert len(opened(tmp_path, tree).samples) == 10


def test_the_folders_of_labelme2voc(tmp_path: Path) -> None:
    tree: Tree = {"labels.txt": "__ignore__\n_background_\ncat\ndog\n"}
    for name, content in masked("{role}/{i}", ("JPEGImages", "SegmentationClassPNG")).items():
        tree[name] = content
        if name.endswith("jpg"):
            tree[name.replace("JPEGImages", "SegmentationClassVisualization")] = content
    found = surveyed(tmp_path, tree)
    assert found.data.classes == ("_background_", "cat", "dog")
    assert account(found.left_out)["images in other folders"] == 10


def test_pairs_that_are_not_whole_are_counted(tmp_path: Path) -> None:
    tree = masked()
    del tree["train/masks/0.png"], tree["val/images/6.jpg"]
    found = surveyed(tmp_path, tree)
    assert splits(found.data) == (5, 1, 2)
    assert account(found.left_out) == {
        "masks, read": 8,
        "masks whose image is not there": 1,
        "images without a mask": 1,
    }
    assert any("1 images without a mask are left out" in note for note in found.data.remarks)


def write_form(form: str, mask: Any) -> bytes:
    if form == "deep":
        return saved(mask, "I;16")
    if form == "palette":
        return saved(mask, "P")
    if form == "four bits":
        return png(mask, 4, 0)
    if form == "two bits":
        return png(mask, 2, 0)
    if form == "grey in RGB":
        return saved(np.repeat(mask[..., None], 3, -1))
    return saved(mask, "", {"tiff": "TIFF", "bmp": "BMP", "gif": "GIF"}[form])


@pytest.mark.parametrize("form", ["deep", "palette", "four bits", "two bits", "grey in RGB", "tiff", "bmp", "gif"])
def test_every_lossless_form_of_a_mask_gives_the_numbers_in_the_file(tmp_path: Path, form: str) -> None:
    tree = masked()
    tree |= {f"train/masks/{i}.png": write_form(form, blocks(i, (0, 1, 2))) for i in range(6)}
    data = opened(tmp_path, tree)
    for sample, mask in zip(data.samples, arrays(data), strict=True):
        np.testing.assert_array_equal(mask, blocks(int(Path(sample.id).stem), (0, 1, 2)))


def test_black_and_white_is_background_and_foreground(tmp_path: Path) -> None:
    for number, (mode, high) in enumerate((("", 255), ("1", 1))):
        tree = masked("{role}/{i}")
        tree |= {f"masks/{i}.png": saved(blocks(i, (0, high)), mode) for i in range(10)}
        data = opened(tmp_path / str(number), tree)
        expected = ("background", "foreground") if high == 255 else ("0", "1")
        assert data.classes == expected
        assert {int(value) for mask in arrays(data) for value in np.unique(mask)} == {0, 1}
        assert any("masks of 0 and 255" in note for note in data.remarks) == (high == 255)


def test_void_is_255_and_what_the_user_says(tmp_path: Path) -> None:
    tree = masked(values=(0, 1, 11, 255))
    plain = opened(tmp_path / "a", tree)
    assert plain.classes == ("0", "1", "11")
    data = opened(tmp_path / "b", tree, void=(11,))
    assert data.classes == ("0", "1")
    for sample, mask in zip(data.samples, arrays(data), strict=True):
        stored = blocks(int(Path(sample.id).stem), (0, 1, 11, 255))
        np.testing.assert_array_equal(mask == VOID, stored >= 11)
        np.testing.assert_array_equal(mask == 1, stored == 1)
    assert plain.digest != data.digest
    assert any("void, neither right nor wrong: 11, 255" in note for note in data.remarks)
    assert any("value 9 of --void is in no mask" in note for note in opened(tmp_path / "c", tree, void=(9,)).remarks)


def test_a_value_without_a_name_is_refused_with_the_remedy(tmp_path: Path) -> None:
    tree = masked(values=(0, 1, 11)) | {"classes.txt": "\n".join(f"class {i}" for i in range(11))}
    with pytest.raises(UserError, match=r"classes\.txt does not name: 11(.|\n)*10 masks(.|\n)*0 to 10(.|\n)*--void 11"):
        opened(tmp_path / "a", tree)
    data = opened(tmp_path / "b", tree, void=(11,))
    assert data.classes[:2] == ("class 0", "class 1")
    assert len(data.classes) == 11
    assert any("classes that nothing has: class 2, " in note for note in data.remarks)


TABLES = {
    "class_dict.csv": "name, r, g, b\nsky,0,0,255\nVoid,0,0,0\nroad, 128,64,128\n",
    "labelmap.txt": "# label:color_rgb:parts:actions\nsky:0,0,255::\nvoid:0,0,0::\nroad:128,64,128::\n",
    "label_colors.txt": "0 0 255\t\tsky\n0 0 0\t\tVoid\n128 64 128\troad\n",
}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("form", ["RGB", "palette"])
def test_colours_are_classes_by_a_table(tmp_path: Path, table: str, form: str) -> None:
    colours = np.array([(128, 64, 128), (0, 0, 255), (0, 0, 0)], np.uint8)
    tree = masked("{role}/{i}") | {table: TABLES[table]}
    for i in range(10):
        mask = blocks(i, (0, 1, 2))
        flat = [int(n) for n in colours.ravel()]
        tree[f"masks/{i}.png"] = saved(colours[mask]) if form == "RGB" else saved(mask, "P", palette=flat)
    data = opened(tmp_path, tree)
    assert data.classes == ("sky", "road")
    for sample, mask in zip(data.samples, arrays(data), strict=True):
        np.testing.assert_array_equal(mask, np.array([1, 0, VOID])[blocks(int(Path(sample.id).stem), (0, 1, 2))])


def test_colours_without_a_table_are_classes_or_refused(tmp_path: Path) -> None:
    colours = np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0)], np.uint8)
    tree = masked("{role}/{i}") | {f"masks/{i}.png": saved(colours[blocks(i, (0, 1, 2))]) for i in range(10)}
    data = opened(tmp_path / "a", tree)
    assert data.classes == ("#000000", "#00ff00", "#ff0000")
    with pytest.raises(
        UserError, match=r"classes\.txt names classes, and 10 masks are of colours(.|\n)*class_dict.csv"
    ):
        opened(tmp_path / "b", tree | {"classes.txt": "a\nb\nc"})
    soft: Tree = {}
    for i in range(10):
        image = Image.fromarray(colours[blocks(i, (0, 1, 2))]).resize((W, H * 2), Image.Resampling.BILINEAR)
        soft[f"masks/{i}.png"] = saved(np.asarray(image.resize((W, H), Image.Resampling.BICUBIC)))
    with pytest.raises(UserError, match=r"hardly ever next to themselves|too many values to be classes"):
        opened(tmp_path / "c", tree | soft)
    noise = np.random.default_rng(0).integers(0, 256, (H, W, 3))
    with pytest.raises(UserError, match=r"too many values to be classes \(masks/3.png\)"):
        opened(tmp_path / "d", tree | {"masks/3.png": saved(noise)})
    with pytest.raises(UserError, match=r"--void is given, and the masks are of colours"):
        opened(tmp_path / "e", tree, void=(3,))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"train/masks/3.png": saved(np.zeros((H + 1, W)))},
            r"1 of 10 masks have another size(.|\n)*train/masks/3.png",
        ),
        ({"train/masks/3.png": photograph(3, H, W)}, r"1 of 10 masks cannot be read(.|\n)*JPEG"),
        ({"train/masks/3.png": saved(blocks(3, (0, 1)))[:-30]}, r"1 of 10 masks cannot be read(.|\n)*damaged"),
        (
            {"train/masks/3_mask.png": saved(blocks(3, (0, 1)))},
            r"train/images/3.jpg has two masks: train/masks/3",
        ),
        ({"classes.txt": "a\nb\na\n"}, r"classes.txt has the name a twice"),
        ({"class_dict.csv": "colour\n1\n"}, r"class_dict.csv cannot be read"),
    ],
)
def test_what_would_give_a_wrong_number_is_refused(tmp_path: Path, change: Tree, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        opened(tmp_path, masked() | change)


@pytest.mark.parametrize(
    ("tree", "sentence"),
    [
        (
            {"images/1.jpg": photograph(1), "images/2.jpg": photograph(2), "masks": None},
            "folder masks of photos is empty",
        ),
        ({f"{i}{e}": photograph(i) for i in range(4) for e in (".jpg", "_mask.png")}, "images and masks in one folder"),
        (masked("{role}/{i}") | {"cat/1.jpg": photograph(50)}, r"the folders cat beside them(.|\n)*Two readings"),
        (masked(values=(7,)), "masks have 1 classes: 7"),
        (masked(values=(255,)) | {"classes.txt": "a\nb\nc"}, "every pixel is void|two classes"),
    ],
)
def test_what_has_no_masks_is_refused(tmp_path: Path, tree: Tree, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        opened(tmp_path, tree)


@pytest.mark.parametrize("orientation", [2, 5, 6, 7, 8])
def test_a_mask_of_the_turned_picture_is_turned_back(tmp_path: Path, orientation: int) -> None:
    from PIL import ImageOps

    mask = blocks(1, (0, 1, 2))
    image = Image.fromarray(mask)
    image.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(image))
    tree = masked() | {"train/images/1.jpg": turned(1, orientation), "train/masks/1.png": saved(upright)}
    data = opened(tmp_path, tree)
    row = next(i for i, sample in enumerate(data.samples) if sample.id == "train/images/1.jpg")
    if orientation == 2:  # the sizes cannot tell: taken as of the stored picture
        np.testing.assert_array_equal(masks(data)[row], upright)
    else:
        np.testing.assert_array_equal(masks(data)[row], mask)
        assert any("turned back" in note for note in data.remarks)
    assert tuple(masks(data).sizes[row]) == (H, W)


def test_cityscapes(tmp_path: Path) -> None:
    tree: Tree = {}
    for i in range(8):
        split, city = ("train", "aachen") if i < 4 else ("val", "ulm") if i < 6 else ("test", "bonn")
        stem = f"{city}_{i:06d}_000019"
        tree[f"leftImg8bit/{split}/{city}/{stem}_leftImg8bit.png"] = saved(
            np.asarray(Image.open(io.BytesIO(photograph(i, H, W))))
        )
        tree[f"gtFine/{split}/{city}/{stem}_gtFine_labelIds.png"] = saved(blocks(i, (0, 3, 7, 26, 33)))
        tree[f"gtFine/{split}/{city}/{stem}_gtFine_color.png"] = saved(blocks(i, (0, 3, 7, 26, 33)), "P")
        tree[f"gtFine/{split}/{city}/{stem}_gtFine_polygons.json"] = '{"imgHeight": 24, "objects": []}'
    found = surveyed(tmp_path, tree)
    data = found.data
    assert (splits(data), len(data.classes), data.classes[0], data.classes[-1]) == ((3, 1, 2), 19, "road", "bicycle")
    for sample, mask in zip(data.samples, arrays(data), strict=True):
        stored = blocks(int(sample.id.split("_")[1]), (0, 3, 7, 26, 33))
        for value, number in ((0, VOID), (3, VOID), (7, 0), (26, 13), (33, 18)):
            assert (mask[stored == value] == number).all()
    assert account(found.left_out)["images of Cityscapes' test set, whose labels are not published"] == 2
    ids = {
        name.replace("labelIds", "labelTrainIds"): saved(np.where(blocks(1, (0, 18)) == 5, 255, blocks(1, (0, 18))))
        for name in tree
        if "labelIds" in name
    }
    trained = opened(tmp_path, ids)
    assert np.unique(masks(trained)[0]).tolist() == [0, 18]
    store = Store(tmp_path / "store")
    assert open_dataset(f"cityscapes={tmp_path / 'photos'}", store).licence == "non-commercial research"


def test_ade20k_counts_from_one(tmp_path: Path) -> None:
    tree: Tree = {}
    for i in range(8):
        split, short = ("training", "train") if i < 5 else ("validation", "val")
        tree[f"images/{split}/ADE_{short}_{i:08d}.jpg"] = photograph(i, H, W)
        tree[f"annotations/{split}/ADE_{short}_{i:08d}.png"] = saved(blocks(i, (0, 1, 150)))
    lines = [f"{i}\t0.1\t1\t1\tthing {i}" for i in range(1, 151)]
    tree["objectInfo150.txt"] = "\n".join(["Idx\tRatio\tTrain\tVal\tName", *lines])
    data = opened(tmp_path, tree)
    assert (len(data.classes), data.classes[0], data.classes[149], splits(data)) == (
        150,
        "thing 1",
        "thing 150",
        (4, 1, 3),
    )
    number = int(data.samples[0].id[-12:-4])
    np.testing.assert_array_equal(masks(data)[0], blocks(number, (0, 1, 150)).astype(int) - 1)
    del tree["objectInfo150.txt"]
    (tmp_path / "photos/objectInfo150.txt").unlink()
    assert opened(tmp_path, tree).classes[::149] == ("1", "150")


def pascal() -> Tree:
    tree: Tree = {}
    for i in range(8):
        tree[f"JPEGImages/2007_{i}.jpg"] = photograph(i, H, W)
        tree[f"SegmentationClass/2007_{i}.png"] = saved(blocks(i, (0, 15, 255)), "P")
        tree[f"SegmentationObject/2007_{i}.png"] = saved(blocks(i, (0, 1, 255)), "P")
    tree["JPEGImages/2008_1.jpg"] = photograph(9, H, W)
    sets = "ImageSets/Segmentation"
    tree[f"{sets}/train.txt"] = "\n".join(f"2007_{i}" for i in range(4)) + "\n"
    tree[f"{sets}/val.txt"] = "\n".join(f"2007_{i}" for i in range(4, 7)) + "\n"
    return tree


def test_pascal_voc_has_its_classes_and_lists(tmp_path: Path) -> None:
    tree = {f"VOC2012/{name}": content for name, content in pascal().items()}
    found = surveyed(tmp_path, tree)
    data = found.data
    assert splits(data) == (3, 1, 3)
    assert (len(data.classes), data.classes[0], data.classes[15]) == (21, "background", "person")
    assert np.unique(masks(data)[0]).tolist() == [VOID, 0, 15]
    counts = account(found.left_out)
    assert (counts["images that no list of a split names"], counts["images without a mask"]) == (1, 1)
    boxes = xml([("cat", 1, 1, 9, 9)])
    (tmp_path / "photos/VOC2012/Annotations").mkdir()
    for i in range(8):
        (tmp_path / f"photos/VOC2012/Annotations/2007_{i}.xml").write_text(boxes)
    both, store = str(tmp_path / "photos"), Store(tmp_path / "store")
    assert open_dataset(both, store).kind == "boxes"
    assert open_dataset(f"voc={both}", store).kind == "boxes"
    assert open_dataset(f"voc-masks={both}", store).digest == data.digest


def test_a_changed_mask_or_class_is_another_data_set(tmp_path: Path) -> None:
    first = opened(tmp_path / "a", masked())
    assert opened(tmp_path / "b", masked()).digest == first.digest
    mask = blocks(0, (0, 1, 2))
    mask[3, 3] = (mask[3, 3] + 1) % 3
    changed = opened(tmp_path / "c", masked() | {"train/masks/0.png": saved(mask)})
    named = opened(tmp_path / "d", masked() | {"classes.txt": "a\nb\nc\n"})
    swapped = opened(tmp_path / "e", masked() | {"classes.txt": "b\na\nc\n"})
    sets = (first, changed, named, swapped)
    assert len({data.digest for data in sets}) == len({data.learning for data in sets}) == 4


def test_limit_and_a_second_opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = opened(tmp_path, masked(), limit=6)
    assert splits(data) == (4, 1, 1)
    assert "6 of 10 images, by split, seed 0" in data.splits_from
    monkeypatch.setattr(mask_files, "look", None)
    again = opened(tmp_path, {}, limit=6)
    assert again.digest == data.digest
    with pytest.raises(UserError, match="limit of 2 images is too small"):
        opened(tmp_path, {}, limit=2)


def test_masks_are_read_by_many_threads(tmp_path: Path) -> None:
    data = opened(tmp_path, masked())
    found = masks(data)
    with ThreadPoolExecutor(8) as pool:
        for row, mask in enumerate(pool.map(found.read, list(range(10)) * 4)):
            np.testing.assert_array_equal(mask, found[row % 10])
