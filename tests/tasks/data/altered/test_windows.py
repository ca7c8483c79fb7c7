"""Windows cover a picture once, are large enough to be seen, and have their pictures' pixels and masks."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image
from scenes import CLASSES, mask, masks_of

from export.geometry import Frame
from export.picture import decode
from export.spec import CropMode, PreprocessSpec
from tasks.data.altered.composed import composed, taken
from tasks.data.altered.windows import windowed, windows
from tasks.data.base import DataSet, Sample, Shifted
from tasks.data.targets import Masks

SIZES = {"a.png": (40, 50), "big.png": (70, 150), "c.png": (64, 96), "tall.png": (130, 20)}
"""At an input of 32x48, the second is cut into 2 by 2, the fourth into 3; the third is just small enough."""
sides = st.integers(1, 5000)
inputs = st.integers(16, 640)


@given(st.tuples(sides, sides), st.tuples(inputs, inputs))
@example((1, 5000), (16, 16))
@example((5000, 1), (16, 640))
@example((32, 32), (16, 16))
@example((33, 32), (16, 16))
def test_windows_cover_every_pixel_once_and_are_as_few_as_need_be(
    picture: tuple[int, int], shown: tuple[int, int]
) -> None:
    found = windows(picture, shown)
    tops, lefts = (sorted({window[i] for window in found}) for i in (0, 1))
    bottoms, rights = [*tops[1:], picture[0]], [*lefts[1:], picture[1]]
    grid = [(t, x, b, r) for t, b in zip(tops, bottoms, strict=True) for x, r in zip(lefts, rights, strict=True)]
    assert found == grid, "a grid of which no part overlaps or is left out"
    assert (tops[0], lefts[0]) == (0, 0)
    for axis, (begins, ends) in enumerate(((tops, bottoms), (lefts, rights))):
        lengths = [end - begin for begin, end in zip(begins, ends, strict=True)]
        assert min(lengths) > 0
        assert max(lengths) - min(lengths) <= 1
        assert max(lengths) <= 2 * shown[axis]
        assert len(lengths) == 1 or picture[axis] > 2 * shown[axis] * (len(lengths) - 1)


@given(st.tuples(sides, sides), st.tuples(inputs, inputs), st.sampled_from(["squash", "border"]))
@example((1, 5000), (16, 16), "border")
@example((5000, 3), (16, 640), "border")
def test_no_window_is_shown_at_a_scale_below_a_half(
    picture: tuple[int, int], shown: tuple[int, int], how: CropMode
) -> None:
    spec = PreprocessSpec(*shown, "bilinear", 1.0, how)
    for top, left, bottom, right in windows(picture, shown):
        scale = Frame.of(spec, bottom - top, right - left).scale
        assert scale[0] * (right - left) >= (right - left) / 2 - 0.5, "a size is rounded to whole pixels"
        assert scale[1] * (bottom - top) >= (bottom - top) / 2 - 0.5


class Counting:
    """A reader of drawn pictures, which counts how often each is read."""

    def __init__(self) -> None:
        self.read: Counter[str] = Counter()

    def __call__(self, sample_id: str) -> bytes:
        self.read[sample_id] += 1
        out = io.BytesIO()
        Image.fromarray(pixels(sample_id)).save(out, "PNG")
        return out.getvalue()


def drawn(sample_id: str) -> np.random.Generator:
    return np.random.default_rng(sum(map(ord, sample_id)))


def pixels(sample_id: str) -> np.ndarray:
    return drawn(sample_id).integers(0, 256, (*SIZES[sample_id], 3), dtype=np.uint8)


def data(reader: Counting, sizes: Sequence[str] = tuple(SIZES), read_masks: Counter[str] | None = None) -> DataSet:
    """Drawn pictures with masks, all but the last of train."""

    def targets(samples: Sequence[Sample]) -> Masks:
        found = masks_of([mask(drawn(s.id), *SIZES[s.id]) for s in samples])

        def read(row: int) -> np.ndarray:
            if read_masks is not None:
                read_masks[samples[row].id] += 1
            return found.read(row)

        return replace(found, read=read)

    samples = [Sample(name, 0, "test" if name == sizes[-1] else "train") for name in sizes]
    return DataSet("drawn", samples, CLASSES, "digest", reader, remarks=("one",), kind="masks", targets=targets)


def box(sample_id: str) -> tuple[str, slice, slice]:
    name, _, place = sample_id.partition("#")
    if not place:
        return name, slice(None), slice(None)
    top, left, bottom, right = map(int, place.split(","))
    return name, slice(top, bottom), slice(left, right)


def test_a_window_has_its_pictures_pixels_mask_and_split() -> None:
    found = windowed(data(Counting()), 32, 48)
    assert [s.id for s in found.samples] == [
        "a.png",
        *(f"big.png#{place}" for place in ("0,0,35,75", "0,75,35,150", "35,0,70,75", "35,75,70,150")),
        "c.png",
        *(f"tall.png#{place}" for place in ("0,0,43,20", "43,0,86,20", "86,0,130,20")),
    ]
    assert found.targets is not None
    masks = found.targets(found.samples)
    assert isinstance(masks, Masks)
    for row, sample in enumerate(found.samples):
        name, down, across = box(sample.id)
        np.testing.assert_array_equal(decode(found.read(sample.id)), pixels(name)[down, across])
        np.testing.assert_array_equal(masks[row], mask(drawn(name), *SIZES[name])[down, across])
        assert tuple(masks.sizes[row]) == masks[row].shape
        assert sample.split == ("test" if name == "tall.png" else "train")
    assert masks.pictures is not None
    assert masks.pictures.tolist() == [0, 1, 1, 1, 1, 2, 3, 3, 3]
    assert masks.firsts.tolist() == [0, 1, 5, 6]
    assert found.classes == masks.classes == CLASSES
    assert found.remarks == (
        "one",
        "pictures larger than twice the input (32x48) are cut into windows: 2 of 4 pictures, 7 windows",
    )


def test_targets_are_of_the_samples_that_are_asked_for_in_their_order() -> None:
    found = windowed(data(Counting()), 32, 48)
    assert found.targets is not None
    asked = [found.samples[i] for i in (7, 0, 2, 6)]
    masks = found.targets(asked)
    assert isinstance(masks, Masks)
    assert masks.pictures is not None
    assert masks.pictures.tolist() == [0, 1, 2, 0]
    for row, sample in enumerate(asked):
        name, down, across = box(sample.id)
        np.testing.assert_array_equal(masks[row], mask(drawn(name), *SIZES[name])[down, across])
    small = found.targets([found.samples[0], found.samples[5]])
    assert isinstance(small, Masks)
    assert small.pictures is None
    assert small.firsts.tolist() == [0, 1]
    assert len(found.targets([])) == 0


def test_neighbouring_windows_are_read_once() -> None:
    reader, read_masks = Counting(), Counter[str]()
    found = windowed(data(reader, read_masks=read_masks), 32, 48)
    assert not reader.read, "sizes are known without reading a picture"
    for sample in found.samples:
        found.read(sample.id)
    assert reader.read == dict.fromkeys(SIZES, 1)
    assert found.targets is not None
    masks = found.targets(found.samples)
    for row in range(len(masks)):
        masks[row]
    assert read_masks == dict.fromkeys(SIZES, 1)


def test_a_picture_that_cannot_be_read_is_asked_for_again() -> None:
    class Failing(Counting):
        def __call__(self, sample_id: str) -> bytes:
            if not self.read:
                self.read[sample_id] += 1
                raise OSError("gone")
            return super().__call__(sample_id)

    found = windowed(data(Failing()), 32, 48)
    with pytest.raises(OSError, match="gone"):
        found.read(found.samples[1].id)
    assert decode(found.read(found.samples[1].id)).shape == (35, 75, 3)


def test_a_set_without_large_pictures_is_the_same_object() -> None:
    small = data(Counting(), ("a.png", "c.png"))
    assert windowed(small, 32, 48) is small


def test_the_digest_follows_from_the_data_and_the_input() -> None:
    whole = data(Counting())
    found = {
        windowed(one, *size).digest for one in (whole, replace(whole, digest="other")) for size in ((32, 48), (48, 32))
    }
    assert len(found) == 4
    assert whole.digest not in found
    assert windowed(whole, 32, 48).digest == windowed(data(Counting()), 32, 48).digest


def test_a_set_that_is_put_together_has_the_windows_of_its_parts() -> None:
    reader = Counting()
    fitted, seen = data(reader, ("a.png", "big.png", "c.png")), replace(data(reader), digest="seen")
    samples = [
        *(taken(0, s, 0) for s in fitted.samples if s.split != "test"),
        *(taken(1, s, 0, "test") for s in seen.samples),
    ]
    shift = Shifted("drawn", "seen", fitted.digest)
    found = windowed(composed("drawn→seen", samples, CLASSES, (fitted, seen), "", shift=shift), 32, 48)
    own = [windowed(part, 32, 48) for part in (fitted, seen)]
    assert [part.digest for part in found.parts] == [part.digest for part in own]
    assert found.shift == replace(shift, without=own[0].digest)
    assert found.learning == own[0].learning, "one fit serves both"
    for sample in found.samples:
        part, inner = found.source(sample)
        assert inner in {s.id for s in own[part].samples}, "outputs of the parts are those of the whole"
        assert found.read(sample.id) == own[part].read(inner)
    assert len(found.split("train")) == 5
    assert len(found.split("test")) == 9
    assert found.targets is not None
    masks = found.targets(found.split("test"))
    assert isinstance(masks, Masks)
    assert masks.pictures is not None
    assert masks.pictures.tolist() == [0, 1, 1, 1, 1, 2, 3, 3, 3]
    assert all(masks[row].shape == tuple(masks.sizes[row]) for row in range(9))
