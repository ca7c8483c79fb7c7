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

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class Closeness:
    """The least cosine over the photographs that were run; −1 where features hold NaN or Inf."""

    cosine_min: float
    photographs: int


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
        output = model.graph.output[0].name
        done: list[float] = []
        for seen in watch(model, [output], self._values[self._order]):
            here = self._order[len(done) : len(done) + len(seen[output])]
            done += cosines(np.asarray(seen[output], np.float32), self._wanted[here]).tolist()
            if min(done) < floor:
                break
        worst_first = self._order[np.argsort(done, kind="stable")]
        self._order = np.concatenate([worst_first[:BATCH], self._order[len(done) :], worst_first[BATCH:]])
        return Closeness(min(done), len(done))

    def errors(self, model: onnx.ModelProto, photographs: int) -> float:
        """Σ |found − wanted|² / |wanted|² over the ``photographs`` on which the last candidate suffered most."""
        few = self._order[:photographs]
        wanted = self._wanted[few].reshape(len(few), -1)
        error = features(model, self._values[few]).reshape(len(few), -1) - wanted
        return float(((error**2).sum(axis=1) / (wanted**2).sum(axis=1)).sum())


def cosines(found: Float, wanted: Float) -> npt.NDArray[np.float64]:
    """The cosine of each row of [n, …] with its twin: 0 where either is all zeros, −1 where one holds NaN or Inf."""
    a, b = (side.reshape(len(side), -1).astype(np.float64) for side in (found, wanted))
    finite = np.isfinite(a).all(axis=1) & np.isfinite(b).all(axis=1)
    a, b = np.where(finite[:, None], a, 0), np.where(finite[:, None], b, 0)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    dots = (a * b).sum(axis=1)
    found_cosines: npt.NDArray[np.float64] = np.divide(dots, norms, out=np.zeros_like(dots), where=norms > 0)
    return np.where(finite, found_cosines, -1.0)
