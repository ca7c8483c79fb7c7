"""ImageNet's relatives and VisDA, in folders as they are published, with drawn pictures in them."""

from __future__ import annotations

import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import photograph

from export.errors import Unavailable, UserError
from export.store import Store
from tasks.data.altered.class_maps import IMAGENET, named_alike
from tasks.data.altered.shift import shifted
from tasks.data.base import SPLITS, DataSet, Sample
from tasks.data.catalog import open_dataset
from tasks.data.sets.visda import CLASSES

KNOWN = {0: "n01440764", 1: "n01443537", 2: "n01484850", 999: "n15075141"}
"""Of ImageNet's class indices, as every published list of them has it."""


def imagenet(wnids: list[str]) -> DataSet:
    """A data set of one image for each class and split, none of which is opened."""
    samples = [Sample(f"{split}/{w}/a.JPEG", i, split) for split in SPLITS for i, w in enumerate(wnids)]
    return DataSet("imagenet", samples, tuple(wnids), "imagenet", lambda id: b"")


def thousand() -> list[str]:
    """A thousand ids, the known ones in their places."""
    between = [f"n{2_000_000 + i:08d}" for i in range(3, 999)]
    return [KNOWN[0], KNOWN[1], KNOWN[2], *between, KNOWN[999]]


def draw(root: Path, counts: dict[str, int], first: int = 0, suffix: str = ".jpg") -> Path:
    for folder, count in counts.items():
        (root / folder).mkdir(parents=True)
        for i in range(count):
            (root / folder / f"{i}{suffix}").write_bytes(photograph(first))
            first += 1
    return root


def test_the_folders_of_v2_are_class_indices(tmp_path: Path, store: Store) -> None:
    root = draw(tmp_path / "imagenetv2-matched-frequency-format-val", {"0": 2, "10": 1, "2": 3, "999": 1}, 0, ".jpeg")
    fitted = imagenet(thousand())
    for ref in (f"imagenet-v2={root}", str(root)):
        seen = open_dataset(ref, store, whole=True)
        assert seen.classes == ("0", "10", "2", "999")
        _, found = shifted(fitted, seen)
        told = {s.id: found.classes[s.label] for s in found.split("test")}
        for index in (0, 2, 10, 999):
            wanted = KNOWN.get(index, thousand()[index])
            assert {name for id, name in told.items() if id.startswith(f"1:{index}/")} == {wanted}


@pytest.mark.data
def test_the_index_is_the_place_among_sorted_ids(shared_data: Path) -> None:
    with tarfile.open(shared_data / "imagenet1k.tar") as tar:
        names = [Path(m.name).name.split("_") for m in tar.getmembers() if m.isfile()]
    index = {int(number): wnid for number, wnid, *_ in names}
    assert len(index) == IMAGENET
    assert KNOWN.items() <= index.items()
    seen = replace(imagenet([str(i) for i in range(IMAGENET)]), name="imagenet-v2")
    fitted = imagenet(sorted(index.values(), key=lambda wnid: wnid[::-1]))  # whatever order the fitted set has
    assert named_alike(fitted, seen).classes == tuple(index[i] for i in range(IMAGENET))


@pytest.mark.parametrize("name", ["imagenet-a", "imagenet-r", "imagenet-sketch"])
def test_the_others_have_imagenets_own_folders(tmp_path: Path, store: Store, name: str) -> None:
    root = draw(tmp_path / name, {KNOWN[999]: 2, KNOWN[1]: 1})
    (root / "README.txt").write_text("n01443537 goldfish\n")
    seen = open_dataset(f"{name}={root}", store, whole=True)
    base, found = shifted(imagenet(thousand()), seen)
    assert base.classes == found.classes == (KNOWN[1], KNOWN[999])
    assert (base.name, found.name) == (f"imagenet|{name}", f"imagenet→{name}")
    assert [found.classes[s.label] for s in found.split("test")] == [KNOWN[1], KNOWN[999], KNOWN[999]]


def test_indices_among_fewer_classes_mean_nothing(tmp_path: Path, store: Store) -> None:
    seen = open_dataset(f"imagenet-v2={draw(tmp_path / 'v2', {'0': 1, '1': 1})}", store, whole=True)
    with pytest.raises(UserError, match=r"by ImageNet's index, and imagenet has 200 of the 1,000(.|\n)*WordNet ids"):
        shifted(imagenet(thousand()[:200]), seen)
    with pytest.raises(UserError, match="go from 0 to 999"):
        named_alike(imagenet(thousand()), replace(seen, classes=("0", "1000")))


def test_numbers_that_are_the_fitted_sets_own_names_stay(tmp_path: Path, store: Store) -> None:
    digits = replace(imagenet(["0", "1", "2"]), name="digits")
    seen = open_dataset(str(draw(tmp_path / "handwriting", {"1": 1, "2": 1})), store, whole=True)
    assert named_alike(digits, seen) is seen
    with pytest.raises(UserError, match="has classes that imagenet lacks: cat"):
        shifted(imagenet(thousand()), replace(seen, classes=("cat", "dog")))


def visda(root: Path) -> Path:
    draw(root / "train", dict.fromkeys(CLASSES, 5), 0, ".png")
    draw(root / "validation", dict.fromkeys(CLASSES, 2), 100)
    draw(root / "test", {"trunk00": 3, "trunk01": 2}, 200)
    for part in ("train", "validation"):
        lines = [f"{p.relative_to(root / part)} {CLASSES.index(p.parent.name)}" for p in (root / part).rglob("*.*g")]
        (root / part / "image_list.txt").write_text("\n".join(lines) + "\n")
    labels = ["trunk00/0.jpg 11", "trunk00/1.jpg 0", "trunk00/2.jpg 10", "trunk01/0.jpg 0", "trunk01/1.jpg 3"]
    (root / "test" / "image_list.txt").write_text("\n".join(labels) + "\n")
    return root


def test_visda_from_drawn_objects_to_photographs(tmp_path: Path, store: Store) -> None:
    root = visda(tmp_path / "visda")
    fitted = open_dataset(f"visda-train={root}", store)
    assert fitted.classes == CLASSES
    assert len(fitted.samples) == 5 * 12
    [found] = shifted(fitted, open_dataset(f"visda-val={root}", store, whole=True))
    assert found.name == "visda-train→visda-val"
    assert len(found.split("test")) == 2 * 12
    assert all(f":{found.classes[s.label]}/" in s.id for s in found.samples)
    base, found = shifted(fitted, open_dataset(f"visda-test={root}", store, whole=True))
    assert base.classes == found.classes == ("aeroplane", "car", "train", "truck")
    told = {s.id: found.classes[s.label] for s in found.split("test")}
    assert told == {
        "1:trunk00/0.jpg": "truck",
        "1:trunk00/1.jpg": "aeroplane",
        "1:trunk00/2.jpg": "train",
        "1:trunk01/0.jpg": "aeroplane",
        "1:trunk01/1.jpg": "car",
    }


def test_what_is_wrong_with_a_copy_of_visda_is_told(tmp_path: Path, store: Store) -> None:
    with pytest.raises(Unavailable, match=r"visda-train is not downloaded(.|\n)*visda-train=DIR"):
        open_dataset("visda-train", store)
    with pytest.raises(UserError, match="There is no"):
        open_dataset(f"visda-val={tmp_path}", store)
    root = visda(tmp_path / "visda")
    listed = root / "test" / "image_list.txt"
    for line, message in (
        ("trunk00/9.jpg 1", "line 2: no file trunk00/9.jpg"),
        ("trunk00/0.jpg 12", "line 2: no label from 0 to 11"),
        ("trunk00/0.jpg", "line 2: no label"),
    ):
        listed.write_text(f"trunk00/1.jpg 0\n{line}\n")
        with pytest.raises(UserError, match=message):
            open_dataset(f"visda-test={root}", store, whole=True)
    listed.unlink()
    with pytest.raises(UserError, match=r"visda-test has no image_list\.txt"):
        open_dataset(f"visda-test={root}", store, whole=True)
    (root / "validation" / "boat").mkdir()
    (root / "validation" / "boat" / "a.jpg").write_bytes(photograph(999))
    with pytest.raises(UserError, match="not among its twelve classes: boat"):
        open_dataset(f"visda-val={root}", store, whole=True)
