"""The weighted vote of the nearest neighbours: Wu et al. 2018, as in DINO."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from tasks.scoring.features import Floats
from tasks.scoring.metrics import Doubles

K = 20
TEMPERATURE = 0.07
BLOCK = 1 << 24
"""Similarities in a block (64 MiB of float32); two blocks are held at once."""
GROUP = 16
"""Similarities of which only the largest is looked at first."""


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
    deepest, found = max(ks), [np.empty((len(queries), classes)) for _ in ks]

    def cast(start: int, similarity: Floats) -> None:
        close, near = largest(similarity, deepest)
        weights = np.exp(close.astype(np.float64) / TEMPERATURE)
        cells = np.arange(len(near))[:, None] * classes + labels[near]
        for out, k in zip(found, ks, strict=True):
            given = np.bincount(cells[:, :k].ravel(), weights[:, :k].ravel(), len(near) * classes)
            out[start : start + len(near)] = given.reshape(-1, classes)

    rows = max(1, BLOCK // len(gallery))
    # between two products the choice fills hardly more than one core: so it runs beside the next product
    with ThreadPoolExecutor(1, thread_name_prefix="neighbours") as pool:
        under_way: Future[None] | None = None
        for start in range(0, len(queries), rows):
            similarity = queries[start : start + rows] @ gallery.T
            if under_way:
                under_way.result()
            under_way = pool.submit(cast, start, similarity)
        if under_way:
            under_way.result()
    return found


def largest(similarity: Floats, k: int) -> tuple[Floats, npt.NDArray[np.int64]]:
    """The ``k`` largest of each row of similarities [n, m], k ≤ m, largest first, and where they stand: [n, k] both.

    The k largest lie in the k groups whose own largest is largest; so only those groups' members are ordered.
    """
    import torch

    values = torch.from_numpy(similarity)
    rows, columns = values.shape
    groups = columns // GROUP
    if groups < 2 * k:
        close, near = values.topk(k)
        return close.numpy(), near.numpy()
    grouped = values[:, : groups * GROUP].view(rows, GROUP, groups)
    best = grouped.amax(dim=1).topk(k, sorted=False).indices
    among = (best[:, None, :] + torch.arange(GROUP)[:, None] * groups).flatten(1)
    left = torch.arange(groups * GROUP, columns).expand(rows, -1)
    among = torch.cat([among, left], dim=1)
    close, near = values.gather(1, among).topk(k)
    return close.numpy(), among.gather(1, near).numpy()


def kth_similarity(gallery: Floats, queries: Floats, k: int) -> Floats:
    """The cosine of each query [n, d] with its k-th nearest row of the gallery [m, d], k ≤ m; float32 [n].

    Rows are L2-normalised.
    """
    found = np.empty(len(queries), np.float32)
    rows = max(1, BLOCK // len(gallery))
    for start in range(0, len(queries), rows):
        found[start : start + rows] = largest(queries[start : start + rows] @ gallery.T, k)[0][:, -1]
    return found
