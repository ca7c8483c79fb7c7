"""Pictures far larger than the network's input, cut into windows: shrunk whole, they would lose their detail.

A picture that is more than twice as high or as wide as the input would be shown at a scale below 0.5. It is cut into
windows that do not overlap and cover it, as few as are at most twice the input along both sides; each is then shown as
a picture of its own. That holds for either way to resize: stretched, each side has its own scale, and padded, both have
the smaller one. Rounding to whole pixels aside, no window's scale is below 0.5.
"""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TypeVar

import numpy as np
from PIL import Image as Pil

from export.picture import VERSION as decoding
from export.picture import Image, decode
from tasks.data.base import DataSet, Sample
from tasks.data.targets import Mask, Masks

LARGEST = 2
"""A window's sides, in those of the input."""
VERSION = 1
"""Raised whenever the same pictures would be cut otherwise."""

Window = tuple[int, int, int, int]
"""top, left, bottom, right, in pixels of the picture."""

_Name = TypeVar("_Name", bound=Hashable)
_Found = TypeVar("_Found")


def windows(picture: tuple[int, int], shown: tuple[int, int]) -> list[Window]:
    """The windows of a picture, row after row; one where it need not be cut.

    Along each side their sizes differ by a pixel at most.

    Args:
        picture, shown: (height, width) of the picture and of the network's input.
    """
    rows, columns = (_cuts(side, LARGEST * most) for side, most in zip(picture, shown, strict=True))
    return [(top, left, bottom, right) for top, bottom in pairwise(rows) for left, right in pairwise(columns)]


def _cuts(side: int, most: int) -> list[int]:
    """From 0 to ``side``, in as few equal steps as are at most ``most``."""
    steps = -(-side // most)
    return [side * i // steps for i in range(steps + 1)]


def windowed(data: DataSet, height: int, width: int) -> DataSet:
    """``data``, which has masks, with the windows of its large pictures in their places; itself where it has none.

    A window is a sample of its picture's split. Its id ends in its place, ``big.jpg#0,512,256,768``.

    Args:
        height, width: of the network's input, in pixels.
    """
    assert data.targets is not None
    samples: list[Sample] = []
    cut: dict[str, tuple[Sample, Window]] = {}
    for whole, size in zip(data.samples, data.targets(data.samples).sizes.tolist(), strict=True):
        found = windows((size[0], size[1]), (height, width))
        for window in found if len(found) > 1 else ():
            one = _named(whole, window)
            samples.append(one)
            cut[one.id] = whole, window
        if len(found) == 1:
            samples.append(whole)
    parts = tuple(windowed(part, height, width) for part in data.parts)
    if not cut and all(part is before for part, before in zip(parts, data.parts, strict=True)):
        return data
    pictures = len({whole.id for whole, _ in cut.values()})
    said = (
        f"pictures larger than twice the input ({height}x{width}) are cut into windows: "
        f"{pictures:,} of {len(data.samples):,} pictures, {len(cut):,} windows"
    )
    anew = {before.digest: part.digest for part, before in zip(parts, data.parts, strict=True)}
    identity = f"{data.digest}\0windows\0{height}\0{width}\0{VERSION}\0{decoding}"
    return replace(
        data,
        samples=samples,
        digest=hashlib.sha256(identity.encode()).hexdigest(),
        read=_reader(data, cut),
        remarks=(*data.remarks, said) if cut else data.remarks,
        parts=parts,
        shift=data.shift and replace(data.shift, without=anew.get(data.shift.without, data.shift.without)),
        targets=_targets(data, cut),
    )


def _named(whole: Sample, window: Window) -> Sample:
    place = "#" + ",".join(map(str, window))
    return replace(whole, id=whole.id + place, origin=whole.origin and (whole.origin[0], whole.origin[1] + place))


def _reader(data: DataSet, cut: dict[str, tuple[Sample, Window]]) -> Callable[[str], bytes]:
    pixels: Callable[[str], Image] = _keeping_the_last(lambda sample_id: decode(data.read(sample_id)))

    def read(sample_id: str) -> bytes:
        if sample_id not in cut:
            return data.read(sample_id)
        whole, (top, left, bottom, right) = cut[sample_id]
        out = io.BytesIO()
        Pil.fromarray(pixels(whole.id)[top:bottom, left:right]).save(out, "BMP")  # lossless, and fast
        return out.getvalue()

    return read


def _targets(data: DataSet, cut: dict[str, tuple[Sample, Window]]) -> Callable[[Sequence[Sample]], Masks]:
    def targets(samples: Sequence[Sample]) -> Masks:
        assert data.targets is not None
        wholes = [cut[sample.id][0] if sample.id in cut else sample for sample in samples]
        places = [cut[sample.id][1] if sample.id in cut else None for sample in samples]
        pictures = {whole.id: whole for whole in wholes}
        masks = data.targets(list(pictures.values()))
        assert isinstance(masks, Masks)
        number = {name: i for i, name in enumerate(pictures)}
        rows = np.array([number[whole.id] for whole in wholes], np.int64)
        sizes = masks.sizes[rows]
        for row, place in enumerate(places):
            if place:
                sizes[row] = place[2] - place[0], place[3] - place[1]
        mask_of: Callable[[int], Mask] = _keeping_the_last(masks.read)

        def read(row: int) -> Mask:
            mask = mask_of(int(rows[row]))
            if place := places[row]:
                top, left, bottom, right = place
                return mask[top:bottom, left:right]
            return mask

        return Masks(masks.classes, sizes, read, rows if any(places) else None)

    return targets


def _keeping_the_last(read: Callable[[_Name], _Found]) -> Callable[[_Name], _Found]:
    """The same, which keeps for each thread what it read last: windows of one picture come one after the other."""
    own = threading.local()

    def kept(name: _Name) -> _Found:
        last: tuple[_Name, _Found] | None = getattr(own, "last", None)
        if last is None or last[0] != name:
            own.last = last = None  # let go of it first: there need not be room for two
            own.last = last = name, read(name)
        return last[1]

    return kept
