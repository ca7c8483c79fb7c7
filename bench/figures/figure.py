"""One measured figure beside its target, and how a ratio is taken: two sides interleaved, with median and range."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from export.store import Store


@dataclass(frozen=True)
class Figure:
    """One measured figure beside its target; ``spread`` is (smallest, largest) of the repeats."""

    name: str
    value: float
    spread: tuple[float, float]
    target: str
    reached: bool
    how: str


def ratios(left: Callable[[], float], right: Callable[[], float], repeats: int) -> list[float]:
    """left/right of interleaved repeats; which side goes first alternates."""
    found = []
    for i in range(repeats):
        if i % 2:
            b = right()
            a = left()
        else:
            a = left()
            b = right()
        found.append(a / b)
    return found


def figure(name: str, values: Sequence[float], target: str, reached: Callable[[float], bool], how: str) -> Figure:
    """The median of the repeats, with their range."""
    middle = median(values)
    return Figure(name, middle, (min(values), max(values)), target, reached(middle), how)


def photographs(store: Store, shared: Path) -> list[bytes]:
    """Encoded JPEGs: the thousand ImageNet photographs where they lie in ``shared``, else twenty from a package."""
    file = shared / "data" / "imagenet1k.tar"
    if file.exists():
        with tarfile.open(file) as tar:
            return [tar.extractfile(m).read() for m in tar if m.isfile()]  # type: ignore[union-attr]
    from export.convert.photographs import photographs as published

    return published(store)
