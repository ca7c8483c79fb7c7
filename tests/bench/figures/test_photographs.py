"""The collection: the same bytes each time, in the sizes that it says."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from bench.figures.photographs import CAMERAS, IMAGENET, SOURCES, cameras, imagenet, odd, source
from export.store import Store


def sizes(encoded: list[bytes]) -> list[tuple[int, int]]:
    return [Image.open(io.BytesIO(e)).size for e in encoded]


@pytest.mark.network
def test_two_stores_hold_the_same_photographs(tmp_path: Path) -> None:
    one, other = (Store(tmp_path / name) for name in "ab")
    found = odd(one)
    assert found == odd(other)
    assert found == odd(one), "from the store"
    assert len(set(found)) == len(found) == 100
    assert all(side % 2 for size in sizes(found) for side in size)
    assert len(list((one.root / "photographs").glob("*/manifest.json"))) == 1
    assert set(sizes(cameras(one))) == {*CAMERAS, *((height, width) for width, height in CAMERAS)}


@pytest.mark.network
@pytest.mark.slow
def test_a_thousand_of_the_sizes_that_imagenet_has(store: Store) -> None:
    found = imagenet(store)
    assert len(set(found)) == len(found) == sum(IMAGENET.values()) == 1000
    assert Counter(sizes(found)) == IMAGENET
    assert max(Counter(map(source, range(len(found)))).values()) == 1000 // SOURCES
