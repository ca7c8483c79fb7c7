"""Rows of one output that lie in several memory-mapped files, read as one array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


class ShardedRows:
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

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        whole = self[:]
        return whole if dtype is None else whole.astype(dtype, copy=False)
