"""Targets of several data sets as those of one: each sample's own, in the asked order, with classes by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import fakes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.errors import UserError
from tasks.data.altered.composed import composed, taken
from tasks.data.altered.joined import kind_of
from tasks.data.base import DataSet, Sample
from tasks.data.targets import VOID, Kind, Masks, Objects, PictureObjects

CLASSES = ("sky", "road", "tree", "car")


def annotated(name: str, count: int, classes: Sequence[str] = CLASSES, kind: Kind = "masks", seed: int = 0) -> DataSet:
    """Pictures of many sizes; what is right for each depends on the set's seed and the picture's number."""

    def one(sample: Sample) -> Any:
        draw = np.random.default_rng([seed, int(sample.id)])
        size = (8 + int(sample.id), 9 + 2 * seed)
        if kind == "masks":
            return size, draw.integers(VOID, len(classes), size).astype(np.int16)
        k = int(draw.integers(0, 4))
        boxes, shapes = draw.uniform(0, 8, (k, 4)), tuple(bytes([seed, i]) for i in range(k) if kind == "shapes")
        return size, PictureObjects(boxes, draw.integers(0, len(classes), k), draw.random(k) < 0.5, boxes[:, 0], shapes)

    def targets(samples: Sequence[Sample]) -> Masks | Objects:
        assert all(s.origin is None for s in samples), "a part is asked for its own samples"
        found = [one(s) for s in samples]
        sizes = np.array([size for size, _ in found], np.int64).reshape(-1, 2)
        if kind == "masks":
            return Masks(tuple(classes), sizes, lambda row: found[row][1])
        return Objects(tuple(classes), sizes, [objects for _, objects in found], kind == "shapes")

    samples = [Sample(str(i), 0, "test") for i in range(count)]
    return DataSet(
        name, samples, tuple(classes), f"{name}-{seed}", lambda i: fakes.photograph(int(i)), kind=kind, targets=targets
    )


def whole(*parts: DataSet, classes: tuple[str, ...] = CLASSES) -> DataSet:
    samples = [taken(i, s, 0) for i, part in enumerate(parts) for s in part.samples]
    return composed("whole", samples, classes, parts, "given")


def asked(data: DataSet, samples: Sequence[Sample]) -> Any:
    assert data.targets is not None
    return data.targets(samples)


@settings(max_examples=40, deadline=None)
@given(st.permutations(CLASSES), st.lists(st.sampled_from(CLASSES), min_size=1, unique=True), st.data())
def test_every_pixel_keeps_its_class_by_name(order: list[str], fewer: list[str], data: st.DataObject) -> None:
    parts = annotated("a", 3), annotated("b", 4, order, seed=1), annotated("c", 3, fewer, seed=2)
    joint = whole(*parts)
    samples = data.draw(st.lists(st.sampled_from(joint.samples), max_size=8))  # any of them, in any order
    found = asked(joint, samples)
    assert (joint.kind, found.classes, len(found)) == ("masks", CLASSES, len(samples))
    for row, sample in enumerate(samples):
        of, inner = joint.source(sample)
        [mask] = asked(parts[of], [Sample(inner, 0, "test")])
        assert tuple(found.sizes[row]) == mask.shape == found[row].shape
        assert found[row].dtype == np.int16
        wanted = np.array([*parts[of].classes, "void"])[mask]
        np.testing.assert_array_equal(np.array([*CLASSES, "void"])[found[row]], wanted)


@settings(max_examples=40, deadline=None)
@given(st.permutations(CLASSES), st.sampled_from([("boxes",) * 2, ("shapes",) * 2, ("boxes", "shapes")]), st.data())
def test_every_object_keeps_its_class_by_name(order: list[str], kinds: tuple[Kind, Kind], data: st.DataObject) -> None:
    parts = annotated("a", 4, kind=kinds[0]), annotated("b", 4, order, kinds[1], seed=1)
    joint = whole(*parts)
    samples = data.draw(st.lists(st.sampled_from(joint.samples), max_size=8))
    found = asked(joint, samples)
    shaped = kinds == ("shapes", "shapes")
    assert (joint.kind, found.classes, found.shaped) == ("shapes" if shaped else "boxes", CLASSES, shaped)
    assert found.sizes.shape == (len(samples), 2)
    for row, sample in enumerate(samples):
        of, inner = joint.source(sample)
        own = asked(parts[of], [Sample(inner, 0, "test")])
        assert tuple(found.sizes[row]) == tuple(own.sizes[0])
        for field in ("boxes", "crowd", "areas"):
            np.testing.assert_array_equal(getattr(found[row], field), getattr(own[0], field))
        assert found[row].shapes == (own[0].shapes if shaped else ())
        assert [CLASSES[i] for i in found[row].labels] == [parts[of].classes[i] for i in own[0].labels]


@pytest.mark.parametrize(
    ("kinds", "wanted"),
    [
        (("labels",), "labels"),
        (("masks", "masks"), "masks"),
        (("boxes", "shapes"), "boxes"),
        (("shapes", "boxes", "shapes"), "boxes"),
        (("shapes", "shapes"), "shapes"),
        (("masks", "boxes"), ""),
        (("labels", "masks"), ""),
        (("shapes", "labels"), ""),
    ],
)
def test_the_kind_is_what_all_have(kinds: tuple[Kind, ...], wanted: str) -> None:
    parts = [annotated(f"set {i}", 1, kind=kind) for i, kind in enumerate(kinds)]
    if wanted:
        assert kind_of(parts) == wanted
        return
    with pytest.raises(UserError, match=f"set 1 has {kinds[1]}, and set 0 has {kinds[0]}"):
        whole(*parts)
