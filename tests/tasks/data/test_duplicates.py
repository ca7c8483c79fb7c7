from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import pytest
from fakes import photograph
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from tasks.data.duplicates import BITS, DISTANCE, groups, near_pairs
from tasks.data.index import look


def encoded(image: Image.Image, form: str = "JPEG", quality: int = 90) -> bytes:
    out = io.BytesIO()
    image.save(out, form, quality=quality)
    return out.getvalue()


def grouped(pictures: list[bytes]) -> list[int]:
    found = [look(lambda name: pictures[int(name)], str(i)) for i in range(len(pictures))]
    hashes, thumbnails = (np.array([getattr(f, kind) for f in found]) for kind in ("hash", "thumbnail"))
    return [int(number) for number in groups([f.sha256 for f in found], hashes, thumbnails)]


def changed(image: Image.Image) -> dict[str, bytes]:
    half = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
    return {
        "re-encoded": encoded(image, quality=40),
        "another format": encoded(image, "PNG"),
        "half the size": encoded(half),
        "brighter": encoded(ImageEnhance.Brightness(image).enhance(1.1)),
        "grey": encoded(image.convert("L").convert("RGB")),
    }


@pytest.mark.parametrize("kind", ["re-encoded", "another format", "half the size", "brighter", "grey"])
def test_a_changed_copy_joins_its_original_and_nothing_else(kind: str) -> None:
    originals = [photograph(seed, 400, 600) for seed in range(10)]
    copies = [changed(Image.open(io.BytesIO(original)))[kind] for original in originals]
    assert grouped([*originals, *copies]) == [*range(10), *range(10)]


def test_a_chain_of_copies_is_one_group() -> None:
    first = Image.open(io.BytesIO(photograph(0, 400, 600)))
    chain = [encoded(first, quality=quality) for quality in (95, 70, 45)]
    numbers = grouped([*chain, photograph(1), chain[0]])
    assert numbers[0] == numbers[1] == numbers[2] == numbers[4] != numbers[3]


def test_flat_pictures_are_copies_only_when_their_bytes_are() -> None:
    flat = [encoded(Image.new("RGB", (64, 64), (level, level, level)), "PNG") for level in (10, 128, 200, 128)]
    numbers = grouped(flat)
    assert numbers[1] == numbers[3]
    assert len(set(numbers)) == 3


def test_pictures_on_one_background_are_told_apart() -> None:
    draw, pictures = np.random.default_rng(0), []
    for _ in range(30):
        canvas = np.full((128, 128), 255, np.uint8)
        canvas[32:96, 32:96] = np.kron(draw.integers(0, 255, (8, 8), dtype=np.uint8), np.ones((8, 8), np.uint8))
        pictures.append(encoded(Image.fromarray(canvas), "PNG"))
    assert len(set(grouped(pictures))) == 30


def brute_force(hashes: npt.NDArray[np.bool_]) -> set[tuple[int, int]]:
    n = len(hashes)
    return {(i, j) for i in range(n) for j in range(i + 1, n) if (hashes[i] ^ hashes[j]).sum() <= DISTANCE}


@settings(deadline=None)
@given(st.integers(0, 2**31), st.lists(st.integers(0, 25), min_size=1, max_size=20))
def test_no_pair_within_the_distance_escapes_the_bands(seed: int, flips: list[int]) -> None:
    draw = np.random.default_rng(seed)
    base = draw.random((2, BITS)) < 0.5
    hashes = np.repeat(base, [len(flips), len(flips)], axis=0)
    for row, count in zip(hashes, [*flips, *flips], strict=True):
        at = draw.choice(BITS, count, replace=False)
        row[at] = ~row[at]
    same = np.tile(np.arange(BITS, dtype=np.uint8), (len(hashes), 1))
    found = {(min(i, j), max(i, j)) for i, j in near_pairs(hashes, same).tolist()}
    assert found == brute_force(hashes)


def test_a_bucket_larger_than_a_block_is_compared_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.data import duplicates

    monkeypatch.setattr(duplicates, "_BLOCK", 4)
    hashes = np.zeros((11, BITS), np.bool_)
    same = np.tile(np.arange(BITS, dtype=np.uint8), (11, 1))
    found = {(min(i, j), max(i, j)) for i, j in near_pairs(hashes, same).tolist()}
    assert len(found) == 55
