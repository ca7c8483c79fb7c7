"""Annotations on their way into a data set: listed by names first, checked against the decoded pictures after."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from export.store import Store
from tasks.data.base import Sample
from tasks.data.targets import Kind, Masks, Objects

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Picture:
    """Height and width in pixels as stored, and the EXIF orientation, 1 to 8."""

    height: int
    width: int
    orientation: int = 1

    @property
    def size(self) -> tuple[int, int]:
        return self.height, self.width


@dataclass(frozen=True)
class Checked:
    """What the annotations of some pictures are.

    Attributes:
        classes: names, in the order of the class numbers.
        hashes: picture → hash of all that is right for it.
        counts: picture → class → its pixels, or its objects.
        targets: see :class:`tasks.data.base.DataSet`.
        notes: what a user should know of how they were read.
    """

    kind: Kind
    classes: tuple[str, ...]
    hashes: Mapping[str, str]
    counts: Mapping[str, Mapping[int, int]]
    targets: Callable[[Sequence[Sample]], Masks | Objects]
    notes: tuple[str, ...] = ()


class Annotations(Protocol):
    """The annotations of a source's pictures, in whichever layout."""

    def check(
        self, pictures: Mapping[str, Picture], void: Collection[int], store: Store, progress: Progress | None
    ) -> Checked:
        """Read and check the annotations of these pictures.

        Args:
            void: values of masks that are neither right nor wrong, beside 255.
            progress: called with (masks read, of how many).

        Raises:
            UserError: they contradict the pictures or themselves.
        """
        ...
