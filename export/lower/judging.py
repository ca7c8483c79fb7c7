"""How close a candidate comes to fp32: the least cosine of its outputs, over no more photographs than are needed.

Where several outputs are judged (feature maps, what a head gives), a photograph's cosine is the least of theirs.

A candidate that is run on the photographs on which others suffer most shows early that it will not do. Since a least
cosine can only fall with every further photograph, whoever is stopped for being below a floor is below it on all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from export.lower.activations import BATCH, Float, watch
from export.parity import cosine

if TYPE_CHECKING:
    import onnx

GLANCED = 8
"""On so many photographs candidates are compared before any is run on all."""


@dataclass(frozen=True)
class Closeness:
    """The least cosine over the photographs that were run; −1 where outputs hold NaN or Inf.

    ``worst`` are the indices of those, the worst first.
    """

    cosine_min: float
    worst: npt.NDArray[np.int64]

    @property
    def photographs(self) -> int:
        """How many were run."""
        return len(self.worst)


class Judge:
    """Runs candidates on the same photographs, the most telling first.

    Args:
        model: the fp32 file. values: float32 [n, …] inputs.
        outputs: the names of those that are judged; by default the first.
    """

    def __init__(self, model: onnx.ModelProto, values: Float, outputs: Sequence[str] = ()) -> None:
        self._values = values
        self._names = tuple(outputs) or (model.graph.output[0].name,)
        seen = list(watch(model, self._names, values))
        self._wanted = {name: np.concatenate([np.asarray(s[name], np.float32) for s in seen]) for name in self._names}
        self._order = np.arange(len(values))

    def cosine(self, model: onnx.ModelProto, floor: float = -1.0) -> Closeness:
        """The least cosine of a candidate's outputs; a candidate that falls below ``floor`` is run no further."""
        found = self._cosines(model, self._order, floor)
        worst = self._order[np.argsort(found, kind="stable")]
        self._order = np.concatenate([worst[:BATCH], self._order[len(found) :], worst[BATCH:]])
        return Closeness(min(found), worst)

    def glance(self, model: onnx.ModelProto) -> float:
        """The least cosine over the first few photographs; which these are changes with every :meth:`cosine`."""
        return min(self._cosines(model, self._order[:GLANCED]))

    def _cosines(self, model: onnx.ModelProto, order: npt.NDArray[np.int64], floor: float = -1.0) -> list[float]:
        found: list[float] = []
        for seen in watch(model, self._names, self._values[order]):
            here = order[len(found) : len(found) + len(seen[self._names[0]])]
            each = [cosines(np.asarray(seen[name], np.float32), self._wanted[name][here]) for name in self._names]
            found += map(min, zip(*each, strict=True))
            if min(found) < floor:
                break
        return found

    def error(self, model: onnx.ModelProto, photographs: npt.NDArray[np.int64]) -> float:
        """Σ |found − wanted|² / |wanted|² of the outputs over these photographs, by index."""
        total, done = 0.0, 0
        for seen in watch(model, self._names, self._values[photographs]):
            here = photographs[done : done + len(seen[self._names[0]])]
            done += len(here)
            for name in self._names:
                wanted = self._wanted[name][here].reshape(len(here), -1)
                error = np.asarray(seen[name], np.float32).reshape(wanted.shape) - wanted
                total += float(((error**2).sum(axis=1) / np.maximum((wanted**2).sum(axis=1), 1e-30)).sum())
        return total


def cosines(found: Float, wanted: Float) -> list[float]:
    """The cosine of each row of [n, …] with its twin: 0 where either is all zeros, −1 where one holds NaN or Inf."""
    pairs = zip(*(side.reshape(len(side), -1).astype(np.float64) for side in (found, wanted)), strict=True)
    return [cosine(a, b) if np.isfinite(a).all() and np.isfinite(b).all() else -1.0 for a, b in pairs]
