from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from encoders import exif, pillow, png
from fakes import photograph
from PIL import Image

from export import picture
from export.store import Store
from tasks.data.base import Counted
from tasks.data.files import from_folder
from tasks.data.index import Index, index

DEEP = np.arange(400).reshape(20, 20) * 160
FILES: dict[str, bytes] = {
    "plain.jpg": photograph(0),
    "turned.jpg": pillow(Image.new("RGB", (20, 30)), "JPEG", exif=exif(6)),
    "turned too.jpg": pillow(Image.new("RGB", (20, 31)), "JPEG", exif=exif(6)),
    "over.jpg": pillow(Image.new("RGB", (20, 30)), "JPEG", exif=exif(3)),
    "deep.png": png(DEEP, 16, 0),
    "clear.png": pillow(Image.new("RGBA", (20, 30), (1, 2, 3, 4)), "PNG"),
    "large.jpg": photograph(2, 600, 401),
    "inks.jpg": pillow(Image.new("CMYK", (20, 30)), "JPEG"),
    "ints.tif": pillow(Image.fromarray(DEEP.astype(np.int32)), "TIFF"),
    "pointer.jpg": b"version https://git-lfs.github.com/spec/v1\n",
    "cut.jpg": photograph(1)[:-40],
}


@pytest.fixture
def indexed(tmp_path: Path, store: Store) -> Callable[[], Index]:
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    return lambda: index(list(FILES), from_folder(tmp_path), store)


def test_what_is_not_plain_is_counted_and_named(indexed: Callable[[], Index]) -> None:
    assert indexed().traits == (
        Counted(picture.TURNED.format(6), 2, ("turned too.jpg", "turned.jpg")),
        Counted(picture.CMYK, 1, ("inks.jpg",)),
        Counted(picture.DEEP, 1, ("deep.png",)),
        Counted(picture.TURNED.format(3), 1, ("over.jpg",)),
        Counted(picture.TRANSPARENT, 1, ("clear.png",)),
    )


def test_the_index_refuses_what_the_decoder_does_with_its_sentence(indexed: Callable[[], Index]) -> None:
    found = indexed()
    assert {one.id for one in found.unreadable} == {"ints.tif", "pointer.jpg", "cut.jpg"}
    for one in found.unreadable:
        with pytest.raises(picture.Undecodable) as refused:
            picture.decode(FILES[one.id])
        assert refused.value.reason == one.reason
    for name in found.sha256:
        assert picture.decode(FILES[name]).shape[2] == 3


def test_the_sizes_are_those_of_the_decoded_pictures(indexed: Callable[[], Index]) -> None:
    found = indexed()
    assert found.pictures.keys() == found.sha256.keys()
    for name, seen in found.pictures.items():
        assert seen.size == picture.decode(FILES[name]).shape[:2]
    turns = {name: seen.orientation for name, seen in found.pictures.items() if seen.orientation != 1}
    assert turns == {"turned.jpg": 6, "turned too.jpg": 6, "over.jpg": 3}


def test_a_second_opening_decodes_nothing(indexed: Callable[[], Index], monkeypatch: pytest.MonkeyPatch) -> None:
    first = indexed()
    monkeypatch.setattr(picture, "look", None)
    assert indexed() == first
