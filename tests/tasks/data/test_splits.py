from __future__ import annotations

from collections import Counter, defaultdict
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.errors import UserError
from tasks.data.base import SPLITS, Split
from tasks.data.layout import Item
from tasks.data.splits import CARVED, SHARES, assign, shuffled, subset


def make(sizes: dict[str, int], split: Split | None = None) -> list[Item]:
    return [Item(f"{split}/{label}/{i}.jpg", label, split) for label, size in sizes.items() for i in range(size)]


def alone(items: list[Item]) -> dict[str, int]:
    return {item.id: number for number, item in enumerate(items)}


class_sizes = st.dictionaries(st.sampled_from("abcdef"), st.integers(3, 60), min_size=2)
seeds = st.integers(0, 2**31)


@given(class_sizes, seeds)
def test_every_class_is_split_in_proportion(sizes: dict[str, int], seed: int) -> None:
    items = make(sizes)
    split, words = assign(items, alone(items), seed)
    assert set(split) == {item.id for item in items}
    assert words == f"seeded 60/20/20, stratified, duplicates together; seed {seed}"
    counts = Counter((item.label, split[item.id]) for item in items)
    for label, size in sizes.items():
        for where, share in SHARES.items():
            assert counts[label, where] >= 1
            assert abs(counts[label, where] - share * size) < 2


@given(class_sizes, seeds, st.data())
def test_a_group_is_never_divided(sizes: dict[str, int], seed: int, data: st.DataObject) -> None:
    items = make(sizes)
    draw = st.integers(0, 40)
    group = {item.id: 41 * ord(item.label) + data.draw(draw, label=item.id) for item in items}
    pictures = defaultdict(set)
    for item in items:
        pictures[item.label].add(group[item.id])
    if min(len(found) for found in pictures.values()) < len(SPLITS):
        with pytest.raises(UserError, match="too few different pictures"):
            assign(items, group, seed)
        return
    split, _ = assign(items, group, seed)
    where = defaultdict(set)
    for item in items:
        where[group[item.id]].add(split[item.id])
    assert all(len(places) == 1 for places in where.values())
    assert {(item.label, split[item.id]) for item in items} == {(label, s) for label in sizes for s in SPLITS}


@given(class_sizes, seeds, st.randoms())
def test_the_order_of_the_listing_does_not_matter(sizes: dict[str, int], seed: int, random: Random) -> None:
    items = make(sizes)
    mixed = list(items)
    random.shuffle(mixed)
    group = alone(items)
    assert assign(mixed, group, seed) == assign(items, group, seed)


def test_the_seed_decides() -> None:
    items = make({"a": 30, "b": 30})
    one, same, two = (assign(items, alone(items), seed)[0] for seed in (1, 1, 2))
    assert one == same != two


def test_the_same_split_on_every_machine() -> None:
    assert shuffled(["a", "b", "c", "d", "ü"], 0, "split") == ["c", "a", "d", "ü", "b"]


@given(class_sizes, seeds)
def test_val_is_carved_and_test_is_left_alone(sizes: dict[str, int], seed: int) -> None:
    items = make(sizes, "train") + make(dict.fromkeys(sizes, 2), "test")
    split, words = assign(items, alone(items), seed)
    assert {item.id for item in items if split[item.id] == "test"} == {i.id for i in items if i.split == "test"}
    counts = Counter((item.label, split[item.id]) for item in items)
    for label, size in sizes.items():
        assert counts[label, "val"] >= 1
        assert abs(counts[label, "val"] - CARVED * size) < 2
    assert "val = 20% of train" in words


def test_classes_that_a_given_split_lacks_are_said() -> None:
    items = make({"a": 5, "b": 5}, "train") + make({"a": 2}, "test") + make({"b": 2}, "val")
    split, words = assign(items, alone(items), 0)
    assert split == {item.id: item.split for item in items}
    assert words == "given; without val images: a; without test images: b"


@given(class_sizes, seeds, st.integers(18, 400))
def test_a_subset_keeps_the_proportions(sizes: dict[str, int], seed: int, limit: int) -> None:
    items = make(sizes)
    part = subset(items, limit, seed)
    assert len(part) == min(limit, len(items))
    assert len(set(part)) == len(part)
    assert set(part) <= set(items)
    counts = Counter(item.label for item in part)
    assert all(counts[label] >= 3 for label in sizes)
    split, _ = assign(part, alone(items), seed)
    assert {(item.label, split[item.id]) for item in part} == {(label, s) for label in sizes for s in SPLITS}


def test_a_subset_of_given_splits_keeps_their_proportions() -> None:
    items = make({"a": 60, "b": 30}, "train") + make({"a": 20, "b": 10}, "test")
    counts = Counter((item.label, item.split) for item in subset(items, 36, 0))
    assert counts == {("a", "train"): 18, ("b", "train"): 9, ("a", "test"): 6, ("b", "test"): 3}


def test_a_limit_that_is_too_small_is_refused_with_the_least_that_works() -> None:
    items = make({"a": 10, "b": 10})
    with pytest.raises(UserError, match="at least 6"):
        subset(items, 5, 0)
    assert len(subset(items, 6, 0)) == 6
