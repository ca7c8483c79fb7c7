"""The weighted vote of the nearest neighbours: Wu et al. 2018, as in DINO."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tasks.features import Floats
from tasks.metrics import Doubles

K = 20
TEMPERATURE = 0.07
BLOCK = 1 << 24
"""Similarities held at once (64 MiB of float32)."""


def predict(
    gallery: Floats, labels: npt.NDArray[np.int64], queries: Floats, ks: list[int], classes: int
) -> list[npt.NDArray[np.int64]]:
    """Predicted classes, one int64 [n] for each of ``ks``; the arguments are those of :func:`votes`."""
    return [given.argmax(axis=1) for given in votes(gallery, labels, queries, ks, classes)]


def votes(
    gallery: Floats, labels: npt.NDArray[np.int64], queries: Floats, ks: list[int], classes: int
) -> list[Doubles]:
    """The weight of each class's votes, one float64 [n, classes] for each of ``ks``; no row is all zero.

    Args:
        gallery, queries: L2-normalised rows, float32 [m, d] and [n, d].
        labels: int64 [m].
        ks: each at most m.
    """
    import torch

    deepest, found = max(ks), [np.empty((len(queries), classes)) for _ in ks]
    rows = max(1, BLOCK // len(gallery))
    for start in range(0, len(queries), rows):
        similarity = torch.from_numpy(queries[start : start + rows] @ gallery.T)
        close, near = (part.numpy() for part in similarity.topk(deepest))  # on every core, and nearest first
        weights = np.exp(close.astype(np.float64) / TEMPERATURE)
        cells = np.arange(len(near))[:, None] * classes + labels[near]
        for out, k in zip(found, ks, strict=True):
            cast = np.bincount(cells[:, :k].ravel(), weights[:, :k].ravel(), len(near) * classes)
            out[start : start + len(near)] = cast.reshape(-1, classes)
    return found


def kth_similarity(gallery: Floats, queries: Floats, k: int) -> Floats:
    """The cosine of each query [n, d] with its k-th nearest row of the gallery [m, d], k ≤ m; float32 [n].

    Rows are L2-normalised.
    """
    found = np.empty(len(queries), np.float32)
    rows = max(1, BLOCK // len(gallery))
    for start in range(0, len(queries), rows):
        similarity = queries[start : start + rows] @ gallery.T
        place = len(gallery) - k
        found[start : start + rows] = np.partition(similarity, place, axis=1)[:, place]
    return found
