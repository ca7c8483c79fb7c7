"""A labelled data set as the benchmark sees it: encoded images by index, a label and a split for each, one digest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from tasks.data.targets import Kind, Masks, Objects

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")

Scope = Literal["closed", "open"]
"""closed: every test image is of a class that train has; open: some are of none, and have the last class, OUTSIDE."""
OUTSIDE = "out of scope"


@dataclass(frozen=True)
class Sample:
    """One image.

    Attributes:
        id: its path inside the source, unique and stable.
        label: indexes ``DataSet.classes``.
        origin: in a data set that is put together, (index of its part, the id there); else None.
    """

    id: str
    label: int
    split: Split
    origin: tuple[int, str] | None = None


@dataclass(frozen=True)
class Unreadable:
    """An image that was left out, and why."""

    id: str
    reason: str


@dataclass(frozen=True)
class Counted:
    """So many files of a data set of which the same is to be said.

    Attributes:
        what: in words, such as "not an image" or "16-bit grey, scaled to 8 bits".
        names: the first few, sorted.
    """

    what: str
    count: int
    names: tuple[str, ...]

    @classmethod
    def of(cls, what: str, names: Iterable[str]) -> Counted:
        """Counted, with the first names."""
        ordered = sorted(names)
        return cls(what, len(ordered), tuple(ordered[:3]))

    def __str__(self) -> str:
        more = ", …" if self.count > len(self.names) else ""
        return f"{self.count:,} {self.what} ({', '.join(self.names)}{more})"


class Reader(Protocol):
    """Gives the encoded bytes (JPEG, PNG, …) of an image. Must be safe for several threads at once."""

    def __call__(self, sample_id: str, /) -> bytes: ...


@dataclass(frozen=True)
class Shifted:
    """Of a data set whose test images are another set's than its training images.

    Attributes:
        fitted, seen: names of the sets whose training and whose test images it has.
        without: digest of the set with the same classes and ``fitted``'s own test images.
    """

    fitted: str
    seen: str
    without: str


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
        remarks: what a user should know of how it was read, in sentences.
        licence: SPDX or words; empty where the user's own.
        published: the named set that the test images come from; empty where they are the user's own.
        sha256: of each image's bytes, by id, where they are known.
        junk: pairs of a test image's id and a train image's that are neither right nor wrong, for retrieval.
        parts: the data sets that this one is put together from, none of which is put together itself; every sample
            then has an ``origin``.
        shift: where the test images are another set's.
        scope: a task is scored on the data of its own scope only.
        kind: of its targets. In a set of kind "labels" they are the samples' labels; in every other, labels are 0.
        targets: samples, in any order → what is right for them; None where that is their label.
    """

    name: str
    samples: Sequence[Sample]
    classes: tuple[str, ...]
    digest: str
    read: Reader
    splits_from: str = "given"
    unreadable: Sequence[Unreadable] = ()
    remarks: tuple[str, ...] = ()
    licence: str = ""
    published: str = ""
    sha256: Mapping[str, str] = field(default_factory=dict, repr=False)
    parts: tuple[DataSet, ...] = ()
    junk: tuple[tuple[str, str], ...] = ()
    scope: Scope = "closed"
    shift: Shifted | None = None
    kind: Kind = "labels"
    targets: Callable[[Sequence[Sample]], Masks | Objects] | None = None

    @property
    def sources(self) -> tuple[DataSet, ...]:
        """The sets whose images these are: the parts, or itself."""
        return self.parts or (self,)

    def source(self, sample: Sample) -> tuple[int, str]:
        """Where a sample's image is: (index into :attr:`sources`, the id there)."""
        return sample.origin or (0, sample.id)

    @property
    def learning(self) -> str:
        """Hash over train and val: which images of which sets, with their classes. Equal ones give equal fits."""
        lines = [
            "\0".join([self.sources[part].digest, inner, s.split, str(s.label), self.classes[s.label]])
            for s in self.samples
            if s.split != "test"
            for part, inner in (self.source(s),)
        ]
        return hashlib.sha256("\n".join(sorted(lines)).encode("utf-8", "surrogateescape")).hexdigest()

    def split(self, split: Split) -> list[Sample]:
        return [s for s in self.samples if s.split == split]

    def untested(self) -> list[str]:
        """The classes that have no test image; of annotated sets, the remarks say so."""
        if self.kind != "labels":
            return []
        tested = {s.label for s in self.samples if s.split == "test"}
        return [name for label, name in enumerate(self.classes) if label not in tested]
