"""Rows of outputs that are not in memory: in several memory-mapped files, or computed when they are asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


class _Whole(ABC):
    """Rows that numpy takes for an array: it then reads all of them."""

    @abstractmethod
    def __getitem__(self, index: slice | Indices, /) -> Floats: ...

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        whole = self[:]
        return whole if dtype is None else whole.astype(dtype, copy=False)


class ShardedRows(_Whole):
    """float32 [n, …], of which only what is asked for is read.

    Args:
        shards: float32 [m, …] each, one after another; the last may be shorter than the others.
        picked: int64 [n], which of their rows, in which order; all of them by default.
    """

    def __init__(self, shards: Sequence[Floats], picked: Indices | None = None) -> None:
        self._shards = tuple(shards)
        self._ends = np.cumsum([len(shard) for shard in shards])
        self._picked = np.arange(self._ends[-1]) if picked is None else picked

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self._picked), *self._shards[0].shape[1:]

    def __len__(self) -> int:
        return len(self._picked)

    @classmethod
    def chained(cls, parts: Sequence[ShardedRows]) -> ShardedRows:
        """All rows of the first, then all of the next, and so on; nothing is read."""
        starts = np.cumsum([0, *(part._ends[-1] for part in parts)])[:-1]
        picked = np.concatenate([part._picked + start for part, start in zip(parts, starts, strict=True)])
        return cls([shard for part in parts for shard in part._shards], picked)

    def pick(self, rows: Indices) -> ShardedRows:
        """These rows of these, in this order; nothing is read."""
        return ShardedRows(self._shards, self._picked[rows])

    def __getitem__(self, index: slice | Indices, /) -> Floats:
        wanted = self._picked[index]
        found = np.empty((len(wanted), *self._shards[0].shape[1:]), np.float32)
        of = np.searchsorted(self._ends, wanted, side="right")
        for number in np.unique(of):
            at = of == number
            start = self._ends[number] - len(self._shards[number])
            found[at] = self._shards[number][wanted[at] - start]
        return found


class OnDemand:
    """Outputs of ``count`` images that are computed when they are asked for.

    Of the last rows that were asked for all outputs are remembered, since they come from one run.

    Args:
        compute: row numbers int64 [m] → by output, float32 [m, …].
        shapes: by output, without the first axis.
    """

    def __init__(
        self, compute: Callable[[Indices], Mapping[str, Floats]], count: int, shapes: Mapping[str, tuple[int, ...]]
    ) -> None:
        self._compute, self._at = compute, np.empty(0, np.int64)
        self._last: Mapping[str, Floats] = {}
        self.count, self.shapes = count, shapes

    def outputs(self) -> dict[str, ComputedRows]:
        """Each output, as rows."""
        return {name: ComputedRows(self, name) for name in self.shapes}

    def of(self, rows: Indices) -> Mapping[str, Floats]:
        """Every output of some rows."""
        if not self._last or not np.array_equal(rows, self._at):
            self._last, self._at = self._compute(rows), rows
        return self._last


class ComputedRows(_Whole):
    """One output's rows, float32 [n, …]."""

    def __init__(self, source: OnDemand, name: str) -> None:
        self._source, self._name = source, name

    @property
    def shape(self) -> tuple[int, ...]:
        return self._source.count, *self._source.shapes[self._name]

    def __len__(self) -> int:
        return self._source.count

    def __getitem__(self, index: slice | Indices, /) -> Floats:
        rows = np.arange(len(self))[index]
        if not len(rows):
            return np.empty((0, *self.shape[1:]), np.float32)
        return self._source.of(rows)[self._name]
