"""One measured figure beside its target, and how a ratio is taken: two sides interleaved, with median and range."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from export.progress import say
from tasks.data.base import DataSet, Sample


@dataclass(frozen=True)
class Figure:
    """One measured figure beside its target; ``spread`` is (smallest, largest) of the repeats."""

    name: str
    value: float
    spread: tuple[float, float]
    target: str
    reached: bool
    how: str

    @property
    def line(self) -> str:
        """The figure, its spread, its target, and whether that is reached."""
        low, high = self.spread
        mark = "reached" if self.reached else "NOT reached"
        return f"{self.name}: {self.value:.3f} ({low:.3f} … {high:.3f}), target {self.target}: {mark}"


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


def data_of(encoded: Sequence[bytes]) -> DataSet:
    """A data set of one class that holds ``encoded``, all of it in its test split."""
    names = {f"{i:04d}.jpg": e for i, e in enumerate(encoded)}
    return DataSet("photographs", [Sample(n, 0, "test") for n in names], ("all",), "-", names.__getitem__)


def lying_in(shared: Path, name: str, of: str) -> Path | None:
    """The file ``data/name`` of the shared folder; None, and a line that the figure ``of`` is left out, without it."""
    file = shared / "data" / name
    if file.exists():
        return file
    say(f"{of}: left out: the folder given by --shared has no data/{name}")
    return None
