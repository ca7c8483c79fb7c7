from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from fakes import photograph
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from export.errors import Unavailable, UserError
from export.store import Store
from tasks.data.catalog import open_dataset
from tasks.data.named import NAMED, READERS
from tasks.data.sets import png, torchvision_sets


@given(st.integers(1, 200), st.integers(1, 200), st.booleans(), st.integers(0, 2**31))
def test_png_keeps_every_pixel(height: int, width: int, colour: bool, seed: int) -> None:
    shape = (height, width, 3) if colour else (height, width)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    with Image.open(io.BytesIO(png.encode(pixels))) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)


def test_every_name_has_a_reader_that_can_be_imported() -> None:
    assert set(READERS) == set(NAMED)
    assert all(callable(READERS.get(name)) for name in NAMED)
    assert set(torchvision_sets.PARTS) == {name for name, row in NAMED.items() if "torchvision" in row.reader}


def test_what_must_be_agreed_to_is_not_downloaded(store: Store) -> None:
    with pytest.raises(Unavailable, match=r"imagenet cannot be downloaded(.|\n)*imagenet=DIR"):
        open_dataset("imagenet", store)
    with pytest.raises(UserError, match="no folder /nowhere"):
        open_dataset("imagenet=/nowhere", store)


def test_the_users_own_imagenet(store: Store, tmp_path: Path) -> None:
    for i, where in enumerate(["train"] * 10 + ["val"] * 3):
        for wnid in ("n01440764", "n01443537"):
            folder = tmp_path / where / wnid
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{i}.JPEG").write_bytes(photograph(2 * i + (wnid > "n01441")))
    data = open_dataset(f"imagenet={tmp_path}", store)
    assert (data.name, data.licence) == ("imagenet", "non-commercial research")
    assert [len(data.split(s)) for s in ("train", "val", "test")] == [16, 4, 6]


def eurosat(root: Path) -> None:
    for i in range(24):
        folder = root / "eurosat" / "2750" / ("Forest" if i % 2 else "River")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i}.jpg").write_bytes(photograph(i))


def dtd(root: Path) -> None:
    base = root / "dtd" / "dtd"
    for i in range(24):
        label, split = ("dotted" if i % 2 else "woven"), ("train", "val", "test")[i // 2 % 3]
        (base / "images" / label).mkdir(parents=True, exist_ok=True)
        (base / "images" / label / f"{i}.jpg").write_bytes(photograph(i))
        (base / "labels").mkdir(exist_ok=True)
        with (base / "labels" / f"{split}1.txt").open("a") as lines:
            lines.write(f"{label}/{i}.jpg\n")


@pytest.mark.parametrize(
    ("name", "draw", "classes", "splits_from"),
    [("eurosat", eurosat, ("Forest", "River"), "seeded"), ("dtd", dtd, ("dotted", "woven"), "given")],
)
def test_torchvision_sets_of_files_give_the_files_own_bytes(
    store: Store,
    tmp_path: Path,
    name: str,
    draw: Callable[[Path], None],
    classes: tuple[str, ...],
    splits_from: str,
) -> None:
    draw(tmp_path / "here")
    data = open_dataset(f"{name}={tmp_path / 'here'}", store)
    assert data.classes == classes
    assert data.splits_from.startswith(splits_from)
    assert len(data.samples) == 24
    for sample in data.samples:
        number = int(Path(sample.id).stem)
        assert data.read(sample.id) == photograph(number)
        assert data.classes[sample.label] == classes[(number + 1) % 2]


def test_torchvision_sets_of_arrays_become_lossless_images(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
    parts = [
        SimpleNamespace(data=pixels[part], targets=[0, 1, 0, 1, 0, 1], classes=["cat", "dog"])
        for part in (slice(0, 6), slice(6, 12))
    ]
    source = torchvision_sets.listed("cifar10", tmp_path, [("train", parts[0]), ("test", parts[1])])
    assert [item.split for item in source.items] == ["train"] * 6 + ["test"] * 6
    assert source.classes == ("cat", "dog")
    for item, expected in zip(source.items, pixels, strict=True):
        with Image.open(io.BytesIO(source.files.read(item.id))) as image:
            np.testing.assert_array_equal(np.asarray(image), expected)


def test_a_file_in_the_place_of_a_folder_gets_a_sentence(store: Store, tmp_path: Path) -> None:
    archive = tmp_path / "cifar10.tar.gz"
    archive.write_bytes(b"")
    with pytest.raises(UserError, match="takes the folder that holds cifar10"):
        open_dataset(f"cifar10={archive}", store)
