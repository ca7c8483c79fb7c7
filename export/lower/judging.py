"""How close a candidate comes to fp32: the least cosine of its features, over no more photographs than are needed.

A candidate that is run on the photographs on which others suffer most shows early that it will not do. Since a least
cosine can only fall with every further photograph, whoever is stopped for being below a floor is below it on all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from export.lower.activations import BATCH, Float, features, watch
from export.parity import cosine

if TYPE_CHECKING:
    import onnx

GLANCED = 8
"""On so many photographs candidates are compared before any is run on all."""


@dataclass(frozen=True)
class Closeness:
    """The least cosine over the photographs that were run; −1 where features hold NaN or Inf.

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
    """

    def __init__(self, model: onnx.ModelProto, values: Float) -> None:
        self._values = values
        self._wanted = features(model, values)
        self._order = np.arange(len(values))

    def cosine(self, model: onnx.ModelProto, floor: float = -1.0) -> Closeness:
        """The least cosine of a candidate's features; a candidate that falls below ``floor`` is run no further."""
        found = self._cosines(model, self._order, floor)
        worst = self._order[np.argsort(found, kind="stable")]
        self._order = np.concatenate([worst[:BATCH], self._order[len(found) :], worst[BATCH:]])
        return Closeness(min(found), worst)

    def glance(self, model: onnx.ModelProto) -> float:
        """The least cosine over the first few photographs; which these are changes with every :meth:`cosine`."""
        return min(self._cosines(model, self._order[:GLANCED]))

    def _cosines(self, model: onnx.ModelProto, order: npt.NDArray[np.int64], floor: float = -1.0) -> list[float]:
        output = model.graph.output[0].name
        found: list[float] = []
        for seen in watch(model, [output], self._values[order]):
            here = order[len(found) : len(found) + len(seen[output])]
            found += cosines(np.asarray(seen[output], np.float32), self._wanted[here])
            if min(found) < floor:
                break
        return found

    def error(self, model: onnx.ModelProto, photographs: npt.NDArray[np.int64]) -> float:
        """Σ |found − wanted|² / |wanted|² of the features over these photographs, by index."""
        wanted = self._wanted[photographs].reshape(len(photographs), -1)
        error = features(model, self._values[photographs]).reshape(wanted.shape) - wanted
        return float(((error**2).sum(axis=1) / (wanted**2).sum(axis=1)).sum())


def cosines(found: Float, wanted: Float) -> list[float]:
    """The cosine of each row of [n, …] with its twin: 0 where either is all zeros, −1 where one holds NaN or Inf."""
    pairs = zip(*(side.reshape(len(side), -1).astype(np.float64) for side in (found, wanted)), strict=True)
    return [cosine(a, b) if np.isfinite(a).all() and np.isfinite(b).all() else -1.0 for a, b in pairs]
