"""Which test images are shown when."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bench.racing.rungs import FIRST, ordered, piece, rungs
from tasks.data.base import DataSet, Sample


@given(st.integers(1, 100_000))
def test_rungs_grow_and_end_with_all_images(images: int) -> None:
    found = rungs(images)
    assert found[-1] == images
    assert list(found) == sorted(set(found))
    assert found[0] == min(FIRST, images) or images < 1.25 * FIRST
    assert all(later <= 2.5 * earlier for earlier, later in pairwise(found))


def made(count: int) -> DataSet:
    samples = [Sample(f"{i:03d}.jpg", i % 3, "test" if i % 2 else "train") for i in range(count)]
    return DataSet("made", samples, ("a", "b", "c"), "digest", lambda name: b"")


def test_the_order_is_the_seed_s_and_not_the_names() -> None:
    data = made(200)
    order = ordered(data, 0)
    assert sorted(sample.id for sample in order) == [sample.id for sample in data.split("test")]
    assert order == ordered(data, 0)
    assert order != ordered(data, 1)
    assert order != data.split("test")
    fewer = ordered(made(100), 0)
    assert [sample for sample in order if sample in fewer] == fewer, "an image more moves no other one"


def test_a_piece_is_known_by_its_samples() -> None:
    data = made(20)
    first, other = piece(data, data.samples[:5]), piece(data, data.samples[5:10])
    assert len(first.samples) == 5
    assert len({data.digest, first.digest, other.digest}) == 3
    assert piece(data, data.samples[:5]).digest == first.digest
