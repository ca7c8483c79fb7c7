"""All 60,000 images of CIFAR-10 after extraction: k-NN beside faiss's exact search doing the same, and the time of k-NN
and the linear classifier's sweep together.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.figures.figure import Figure, figure, lying_in
from bench.figures.probe_sweep import features_of
from export.store import Store
from tasks.data.catalog import open_dataset

REPEATS = 3


@dataclass(frozen=True)
class Found:
    """``against_faiss``: seconds of faiss over ours, one a repeat; ``knn_s`` and ``probe_s``: the two tasks, whole."""

    gallery: int
    queries: int
    dim: int
    against_faiss: list[float]
    knn_s: float
    probe_s: float


def figures(store: Store, shared: Path) -> Iterator[Figure]:
    """k-NN beside faiss's exact search, and seconds of k-NN and the probe's sweep together."""
    if not (archive := lying_in(shared, "cifar10.tar.gz", "neighbours")):
        return
    found = measure(store, archive)
    size = f"{found.queries:,} queries, gallery {found.gallery:,} x {found.dim}"
    yield figure("k-NN, faiss's exact search / ours", found.against_faiss, "≥ 1", lambda v: v >= 1, size)
    yield figure(
        "k-NN and the sweep of the linear classifier, all of CIFAR-10 after extraction, s",
        [found.knn_s + found.probe_s],
        "< 90",
        lambda v: v < 90,
        f"k-NN with its sweep on val {found.knn_s:.1f} s, linear classifier {found.probe_s:.1f} s",
    )


def measure(store: Store, archive: Path) -> Found:
    """Extract, where the store has not got them, the features of EfficientNet-Lite0, and score."""
    from tasks.knn import Knn
    from tasks.linear_probe import LinearProbe
    from tasks.scoring.features import l2_normalized
    from tasks.scoring.neighbours import votes

    data = open_dataset(str(archive), store)
    splits = features_of(store, data)
    gallery, queries = l2_normalized(splits.train.features), l2_normalized(splits.test.features)
    labels, classes, ks = splits.train.labels, len(data.classes), [1, 20, 100]

    def ours() -> list[npt.NDArray[np.float64]]:
        return votes(gallery, labels, queries, ks, classes)

    def theirs() -> list[npt.NDArray[np.float64]]:
        return _by_faiss(gallery, labels, queries, ks, classes)

    same = [np.mean(a.argmax(axis=1) == b.argmax(axis=1)) for a, b in zip(ours(), theirs(), strict=True)]
    if min(same) < 0.999:  # near ties may be broken otherwise
        raise AssertionError(f"faiss votes otherwise: {same} of the predictions agree")
    ratios = []
    for repeat in range(REPEATS):
        seconds = {}
        for side in (ours, theirs) if repeat % 2 else (theirs, ours):
            start = time.perf_counter()
            side()
            seconds[side] = time.perf_counter() - start
        ratios.append(seconds[theirs] / seconds[ours])
    spent = []
    for scorer in (Knn(), LinearProbe()):
        start = time.perf_counter()
        scorer.judge(scorer.fit(splits.train, splits.val, 0), splits.test)
        spent.append(time.perf_counter() - start)
    return Found(len(gallery), len(queries), gallery.shape[1], ratios, spent[0], spent[1])


def _by_faiss(
    gallery: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    queries: npt.NDArray[np.float32],
    ks: list[int],
    classes: int,
) -> list[npt.NDArray[np.float64]]:
    """What ``tasks.scoring.neighbours.votes`` gives, by ``IndexFlatIP``."""
    import faiss

    from tasks.scoring.neighbours import TEMPERATURE

    index = faiss.IndexFlatIP(gallery.shape[1])
    index.add(gallery)
    close, near = index.search(queries, max(ks))
    weights = np.exp(close.astype(np.float64) / TEMPERATURE)
    cells = np.arange(len(queries))[:, None] * classes + labels[near]
    return [
        np.asarray(
            np.bincount(cells[:, :k].ravel(), weights[:, :k].ravel(), len(queries) * classes).reshape(-1, classes),
            np.float64,
        )
        for k in ks
    ]
