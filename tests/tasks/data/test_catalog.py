from __future__ import annotations

import io
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from fakes import photograph
from PIL import Image

from export.errors import Unavailable, UserError
from export.store import Store
from tasks.data import index as index_module
from tasks.data.base import DataSet
from tasks.data.catalog import listing, open_dataset, survey

Write = Callable[..., Path]
TWO = {"cat": 10, "dog": 10}
SPLITS = {"train/cat": 6, "train/dog": 6, "val/cat": 2, "val/dog": 2, "test/cat": 3, "test/dog": 3}


def sizes(data: DataSet) -> tuple[int, int, int]:
    return len(data.split("train")), len(data.split("val")), len(data.split("test"))


def test_class_folders(write_tree: Write, store: Store) -> None:
    root = write_tree(TWO)
    data = open_dataset(str(root), store)
    assert (data.name, data.classes, sizes(data)) == ("photos", ("cat", "dog"), (12, 4, 4))
    assert data.splits_from.startswith("seeded 60/20/20")
    assert all(sample.id.startswith(data.classes[sample.label] + "/") for sample in data.samples)
    assert data.read(data.samples[0].id) == (root / data.samples[0].id).read_bytes()


def test_given_splits_are_kept(write_tree: Write, store: Store) -> None:
    data = open_dataset(str(write_tree(SPLITS)), store)
    assert sizes(data) == (12, 4, 6)
    assert data.splits_from == "given"
    assert all(sample.id.startswith(f"{sample.split}/") for sample in data.samples)
    assert data.classes == ("cat", "dog")


def test_val_is_carved_out_of_train_and_never_out_of_test(write_tree: Write, store: Store) -> None:
    root = write_tree({"training/cat": 10, "training/dog": 10, "testing/cat": 3, "testing/dog": 3})
    data = open_dataset(str(root), store)
    assert sizes(data) == (16, 4, 6)
    assert all(sample.id.startswith("training/") for sample in data.split("val"))
    assert "val = 20% of train" in data.splits_from


def test_train_and_val_alone_make_val_the_test(write_tree: Write, store: Store) -> None:
    root = write_tree({"train/cat": 10, "train/dog": 10, "val/cat": 3, "val/dog": 3})
    data = open_dataset(str(root), store)
    assert sizes(data) == (16, 4, 6)
    assert all(sample.id.startswith("val/") for sample in data.split("test"))


def test_table(write_tree: Write, store: Store) -> None:
    root = write_tree({"a": 8})
    extra = write_tree({"elsewhere": 2}, root.parent / "outside", first=50)
    lines = [f"a/{i:03d}.jpg,{'even' if i % 2 == 0 else 'odd'}" for i in range(8)]
    lines += [f"{extra}/elsewhere/000.jpg,even", "../outside/elsewhere/001.jpg,odd"]
    (root / "labels.csv").write_text("Path, Label\n" + "\n".join(lines))
    by_table, by_folder = open_dataset(str(root / "labels.csv"), store), open_dataset(str(root), store)
    assert by_table.classes == ("even", "odd")
    assert len(by_table.samples) == 10
    assert by_folder.digest == by_table.digest
    assert by_table.read("../outside/elsewhere/001.jpg") == (extra / "elsewhere/001.jpg").read_bytes()


def test_table_with_splits(write_tree: Write, store: Store) -> None:
    root = write_tree({"x": 8})
    splits = ["train", "train", "train", "train", "val", "val", "test", "Test"]
    rows = [f"x/{i:03d}.jpg,{'ab'[i % 2]},{splits[i]}" for i in range(8)]
    (root / "t.csv").write_text("path,label,split\n" + "\n".join(rows))
    assert sizes(open_dataset(str(root / "t.csv"), store)) == (4, 2, 2)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("size,date\n3,today\n", "lacks the columns path,label"),
        ("", "is empty"),
        ("path\nx/000.jpg\n", "lacks the columns path,label"),
        ("path,label\n", "lists no images"),
        ("path,label\nx/000.jpg,a\nx/009.jpg,b\n", "1 of the 2 files .* are missing"),
        ("path,label\nx/000.jpg,\n", "line 2: the label is empty"),
        ("path,label\nx/000.jpg,a\nx/000.jpg,b\n", "more than once"),
        ("path,label,split\nx/000.jpg,a,train\nx/001.jpg,b,probe\n", "line 3: unknown split 'probe'"),
        ("path,label,split\nx/000.jpg,a,train\nx/001.jpg,b,\n", "a split for 1 of its 2"),
        ("path,label,split\nx/000.jpg,a,test\nx/001.jpg,b,test\n", "gives only the split test"),
        ("path,label,split\nx/000.jpg,a,train\nx/001.jpg,b,test\n", "1 classes have|too few"),
        ("path,label\nx/000.jpg,a\nx/001.jpg,a\n", "only one class"),
    ],
)
def test_bad_tables(write_tree: Write, store: Store, table: str, sentence: str) -> None:
    root = write_tree({"x": 2})
    (root / "t.csv").write_text(table)
    with pytest.raises(UserError, match=sentence):
        open_dataset(str(root / "t.csv"), store)


def pack(root: Path, target: Path, prefix: str = "") -> Path:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    if target.suffix == ".zip":
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as bundle:
            for path in files:
                bundle.write(path, prefix + path.relative_to(root).as_posix())
    else:
        with tarfile.open(target, "w:gz" if target.suffix in (".gz", ".tgz") else "w") as tar:
            for path in files:
                tar.add(path, prefix + path.relative_to(root).as_posix())
    return target


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tgz", "a.zip"])
@pytest.mark.parametrize("prefix", ["", "photos-1.0/", "./"])
@pytest.mark.parametrize("layout", [TWO, SPLITS])
def test_archives_give_what_the_folder_gives(
    write_tree: Write, store: Store, tmp_path: Path, name: str, prefix: str, layout: dict[str, int]
) -> None:
    root = write_tree(layout)
    archive = pack(root, tmp_path / name, prefix)
    folder, packed = open_dataset(str(root), store), open_dataset(str(archive), store)
    assert packed.name == "a"
    assert packed.classes == folder.classes
    assert sizes(packed) == sizes(folder)
    for sample in packed.samples:
        inside = sample.id.removeprefix("photos-1.0/").removeprefix("./")
        assert packed.read(sample.id) == (root / inside).read_bytes()


@pytest.mark.parametrize("name", ["a.tar", "a.zip"])
def test_a_table_inside_an_archive(write_tree: Write, store: Store, tmp_path: Path, name: str) -> None:
    root = write_tree({"x": 8})
    (root / "labels.csv").write_text("path,label\n" + "\n".join(f"x/{i:03d}.jpg,{'ab'[i % 2]}" for i in range(8)))
    data = open_dataset(str(pack(root, tmp_path / name, "top/")), store)
    assert (data.classes, len(data.samples)) == (("a", "b"), 8)


def test_a_tar_gz_is_unpacked_once(write_tree: Write, store: Store, tmp_path: Path) -> None:
    archive = pack(write_tree(TWO), tmp_path / "a.tar.gz")
    first = open_dataset(str(archive), store)
    lines: list[str] = []
    again = open_dataset(str(archive), Store(store.root, say=lines.append))
    assert again.digest == first.digest
    assert lines == []


def test_names_in_archives_reach_nothing_outside(write_tree: Write, store: Store, tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(photograph(99))
    for name in ("a.zip", "a.tar.gz"):
        archive = pack(write_tree(TWO), tmp_path / name)
        if name == "a.zip":
            with zipfile.ZipFile(archive, "a") as bundle:
                bundle.writestr("../secret.jpg", photograph(7))
                bundle.writestr("cat/../../secret.jpg", photograph(8))
        data = open_dataset(str(archive), store)
        for outside in ("../secret.jpg", str(tmp_path / "secret.jpg")):
            with suppress(KeyError):
                assert data.read(outside) != (tmp_path / "secret.jpg").read_bytes()
    assert sorted(path.name for path in tmp_path.glob("*.jpg")) == ["secret.jpg"]
    assert (tmp_path / "secret.jpg").read_bytes() == photograph(99)


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.zip"])
def test_a_cut_off_archive_is_refused(write_tree: Write, store: Store, tmp_path: Path, name: str) -> None:
    archive = pack(write_tree(TWO), tmp_path / name)
    archive.write_bytes(archive.read_bytes()[:9000])
    with pytest.raises(UserError, match=r"not a complete archive\.\nIt (is cut off|ends)"):
        open_dataset(str(archive), store)


def test_unreadable_images_are_named_counted_and_left_out(write_tree: Write, store: Store) -> None:
    root = write_tree({"cat": 20, "dog": 20})
    whole = (root / "cat/003.jpg").read_bytes()
    (root / "cat/003.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "dog/004.jpg").write_bytes(b"this is no image")
    (root / "dog/005.jpg").write_bytes(b"")
    data = open_dataset(str(root), store, max_unreadable=0.1)
    assert [image.id for image in data.unreadable] == ["cat/003.jpg", "dog/004.jpg", "dog/005.jpg"]
    assert "truncated" in data.unreadable[0].reason
    assert "text, not an image" in data.unreadable[1].reason
    assert "empty" in data.unreadable[2].reason
    assert len(data.samples) == 37
    with pytest.raises(UserError, match=r"3 of the 40 images .* limit is 1\.0%(.|\n)*cat/003\.jpg: .*truncated"):
        open_dataset(str(root), store)


def test_truncation_of_a_large_photograph_is_noticed_at_reduced_scale(write_tree: Write, store: Store) -> None:
    root = write_tree(TWO)
    large = photograph(5, 1200, 1600)
    (root / "cat/large.jpg").write_bytes(large[:-2000])
    assert [u.id for u in open_dataset(str(root), store, max_unreadable=0.1).unreadable] == ["cat/large.jpg"]


def test_a_class_without_a_readable_image_is_refused(write_tree: Write, store: Store) -> None:
    root = write_tree({"cat": 40, "dog": 1, "emu": 10})
    (root / "dog/000.jpg").write_bytes(b"no")
    with pytest.raises(UserError, match=r"1 classes of photos have no image that can be decoded(.|\n)*dog"):
        open_dataset(str(root), store, max_unreadable=0.5)


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ({}, "holds no images"),
        ({"cat": 0, "dog": 0}, "holds no images"),
        ({"cat": 5}, "only one class|not in class folders"),
        ({"": 5}, "not in class folders"),
        ({"cat": 5, "dog": 2}, "1 classes have too few(.|\n)*dog"),
        ({"train/cat": 5, "train/dog": 5, "test/cat": 2, "test/emu": 2}, "no training images(.|\n)*emu"),
    ],
)
def test_bad_folders(write_tree: Write, store: Store, counts: dict[str, int], sentence: str) -> None:
    root = write_tree(counts)
    root.mkdir(exist_ok=True)
    with pytest.raises(UserError, match=sentence):
        open_dataset(str(root), store)


def test_what_is_odd_about_a_folder_is_said(write_tree: Write, store: Store) -> None:
    root = write_tree({"train/cat": 6, "train/dog": 6, "test/cat": 2, "test/dog": 2, "extra/cat": 2, "train/emu": 0})
    (root / "train" / "loose.jpg").write_bytes(photograph(77))
    (root / ".cache").mkdir()
    (root / ".cache" / "x.jpg").write_bytes(photograph(78))
    found = survey(str(root), store)
    assert len(found.data.samples) == 16
    assert found.notes == (
        "splits from the folders test (test), train (train)",
        "folders beside the splits are left out: extra",
        "folders without images: train/emu",
        "1 images that lie outside the class folders are left out",
    )
    assert [str(counted) for counted in found.left_out] == [
        "2 images in folders beside the splits (extra/cat/000.jpg, extra/cat/001.jpg)",
        "1 empty folders (train/emu)",
        "1 hidden files (.cache/x.jpg)",
        "1 images outside the class folders (train/loose.jpg)",
    ]


def test_links_are_followed_and_loops_end(write_tree: Write, store: Store, tmp_path: Path) -> None:
    root = write_tree({"cat": 5})
    write_tree({"d": 5}, tmp_path / "far", first=20)
    os.symlink(tmp_path / "far" / "d", root / "dog")
    os.symlink(root, root / "dog" / "loop")
    os.symlink(root / "nowhere", root / "cat" / "dangling.jpg")
    data = open_dataset(str(root), store)
    assert {sample.id.split("/")[0] for sample in data.samples} >= {"cat", "dog"}
    assert len({data.read(sample.id) for sample in data.samples}) == 10


def test_names_that_do_not_exist(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Did you mean cifar10"):
        open_dataset("cifar11", store)
    for path in (f"{tmp_path}/none", "none.csv", "none.tar.gz"):
        with pytest.raises(UserError, match="There is no"):
            open_dataset(path, store)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(UserError, match=r"notes\.txt lacks the columns path,label"):
        open_dataset(str(tmp_path / "notes.txt"), store)


def test_the_second_opening_decodes_nothing(write_tree: Write, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_tree(TWO)
    seen: list[tuple[int, int]] = []
    first = open_dataset(str(root), store, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (20, 20)
    monkeypatch.setattr(index_module, "look", None)  # whoever looks again, fails
    assert open_dataset(str(root), store).digest == first.digest
    (root / "cat/000.jpg").write_bytes(photograph(500))
    with pytest.raises(TypeError):
        open_dataset(str(root), store)


def test_the_digest_knows_content_names_labels_and_splits(write_tree: Write, store: Store, tmp_path: Path) -> None:
    root = write_tree(TWO)
    digest = open_dataset(str(root), store).digest
    moved = tmp_path / "moved"
    shutil.copytree(root, moved)
    assert open_dataset(str(moved), store).digest == digest
    assert open_dataset(str(root), store, seed=1).digest != digest
    os.rename(moved / "cat", moved / "lion")
    assert open_dataset(str(moved), store).digest != digest
    os.rename(moved / "lion", moved / "cat")
    (moved / "cat/000.jpg").write_bytes(photograph(900))
    assert open_dataset(str(moved), store).digest != digest


def test_copies_stay_on_one_side_and_leaks_of_given_splits_are_said(write_tree: Write, store: Store) -> None:
    root = write_tree({"cat": 20, "dog": 20})
    for i in range(8):
        shutil.copy(root / f"cat/{i:03d}.jpg", root / f"cat/copy{i}.jpg")
        image = Image.open(io.BytesIO((root / f"dog/{i:03d}.jpg").read_bytes()))
        image.resize((240, 180), Image.Resampling.BICUBIC).save(root / f"dog/scaled{i}.jpg", quality=70)
    found = survey(str(root), store)
    split = {sample.id: sample.split for sample in found.data.samples}
    assert (found.exact_copies, found.near_copies, found.leaks) == (8, 8, {})
    for i in range(8):
        assert split[f"cat/copy{i}.jpg"] == split[f"cat/{i:03d}.jpg"]
        assert split[f"dog/scaled{i}.jpg"] == split[f"dog/{i:03d}.jpg"]
    for name, where in (("train", range(14)), ("test", range(14, 20))):
        for kind in ("cat", "dog"):
            (root / name / kind).mkdir(parents=True)
            for i in where:
                shutil.move(root / kind / f"{i:03d}.jpg", root / name / kind / f"{i:03d}.jpg")
    shutil.copy(root / "train/cat/000.jpg", root / "test/cat/000.jpg")
    shutil.rmtree(root / "cat")
    shutil.rmtree(root / "dog")
    given = survey(str(root), store)
    assert sum(given.leaks.values()) == 1


def test_one_picture_under_two_labels_is_said(write_tree: Write, store: Store) -> None:
    root = write_tree({"cat": 6, "dog": 6})
    (root / "dog" / "copy.jpg").write_bytes(next(iter(sorted((root / "cat").iterdir()))).read_bytes())
    found = survey(str(root), store)
    [note] = [note for note in found.notes if "several labels" in note]
    assert note.startswith("one picture, several labels: 2 images are copies of images of another class: cat/")
    assert note in found.data.remarks


def test_limit_is_stratified_and_indexes_no_more_than_it_takes(write_tree: Write, store: Store) -> None:
    root = write_tree({"cat": 60, "dog": 30})
    seen: list[int] = []
    data = open_dataset(str(root), store, limit=30, progress=lambda done, total: seen.append(total))
    assert seen[-1] == 30
    assert sizes(data) == (18, 6, 6)
    assert np.bincount([sample.label for sample in data.samples]).tolist() == [20, 10]
    assert "30 of 90 images" in data.splits_from
    assert open_dataset(str(root), store, limit=30).digest == data.digest
    assert len(open_dataset(str(root), store, limit=1000).samples) == 90
    with pytest.raises(UserError, match="limit of 5 images is too small for 2 classes"):
        open_dataset(str(root), store, limit=5)


@pytest.mark.parametrize(("name", "images", "classes"), [("toy", 180, 4), ("digits", 1797, 10)])
def test_small_named_sets(store: Store, name: str, images: int, classes: int) -> None:
    data = open_dataset(name, store)
    assert (len(data.samples), len(data.classes), data.unreadable) == (images, classes, ())
    assert data.licence
    assert {"name": name, "images": images, "classes": classes}.items() <= next(
        row.items() for row in listing() if row["name"] == name
    )


@pytest.mark.network
def test_elpv_keeps_the_module_that_is_in_it_twice_on_one_side(store: Store) -> None:
    try:
        found = survey("elpv", store)
    except Unavailable as error:
        pytest.skip(f"the package index cannot be reached: {error.why}")
    data = found.data
    assert data.classes == ("functional", "defective")
    assert np.bincount([sample.label for sample in data.samples]).tolist() == [1803, 821]
    split = {int(sample.id[-8:-4]): sample.split for sample in data.samples}
    apart = [cell for cell in range(1735, 1785) if split[cell] != split[cell + 542]]
    assert len(apart) <= 2
    assert len(found.largest) <= 6
    assert open_dataset("elpv4", store).classes[1] == "possibly defective"


@pytest.mark.data
@pytest.mark.slow
def test_cifar10_archive(store: Store) -> None:
    archive = Path(__file__).parents[4] / "shared" / "data" / "cifar10.tar.gz"
    if not archive.exists():
        pytest.skip(f"{archive} is missing")
    found = survey(str(archive), store)
    assert sizes(found.data) == (40_000, 10_000, 10_000)
    assert found.leaks["train and test"] >= 5  # CIFAR-10 is known for it
    assert found.data.read(found.data.samples[0].id)[:2] == b"\xff\xd8"
