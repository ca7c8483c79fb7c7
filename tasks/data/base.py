"""A labelled data set as the benchmark sees it: encoded images by index, a label and a split for each, one digest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")

Scope = Literal["closed", "open"]
"""closed: every test image is of a class that train has; open: some are of none, and have the last class, OUTSIDE."""
OUTSIDE = "out of scope"


@dataclass(frozen=True)
class Sample:
    """One image: ``id`` is its path inside the source, unique and stable; ``label`` indexes ``DataSet.classes``."""

    id: str
    label: int
    split: Split


@dataclass(frozen=True)
class Unreadable:
    """An image that was left out, and why."""

    id: str
    reason: str


class Reader(Protocol):
    """Gives the encoded bytes (JPEG, PNG, …) of an image. Must be safe for several threads at once."""

    def __call__(self, sample_id: str, /) -> bytes: ...


@dataclass(frozen=True)
class DataSet:
    """A data set that is ready to run: indexed, split, and known by its content.

    Attributes:
        name: short, for tables ("elpv", or the folder's name).
        samples: all readable samples that take part, ordered by (split, id).
        digest: hash over every sample's content SHA-256, label and split, and the junk: the same digest means the
            same data.
        splits_from: "given", or how they were made ("seeded 60/20/20, stratified, duplicates together; seed 0").
        unreadable: images that could not be decoded.
        licence: SPDX or words; empty where the user's own.
        published: the named set that the test images come from; empty where they are the user's own.
        sha256: of each image's bytes, by id, where they are known.
        junk: pairs of a test image's id and a train image's that are neither right nor wrong, for retrieval.
        parts: the data sets that this one is put together from: its ids are then ``INDEX OF PART:ID THERE``.
        scope: a task is scored on the data of its own scope only.
    """

    name: str
    samples: Sequence[Sample]
    classes: tuple[str, ...]
    digest: str
    read: Reader
    splits_from: str = "given"
    unreadable: Sequence[Unreadable] = ()
    licence: str = ""
    published: str = ""
    sha256: Mapping[str, str] = field(default_factory=dict, repr=False)
    parts: tuple[DataSet, ...] = ()
    junk: tuple[tuple[str, str], ...] = ()
    scope: Scope = "closed"

    def split(self, split: Split) -> list[Sample]:
        return [s for s in self.samples if s.split == split]

    def untested(self) -> list[str]:
        """The classes that have no test image."""
        tested = {s.label for s in self.samples if s.split == "test"}
        return [name for label, name in enumerate(self.classes) if label not in tested]
