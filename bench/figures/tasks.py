"""Figures of scoring and ranking, each beside somebody else's way to do the same where there is one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from bench.figures.figure import Figure, figure
from export.store import Store


def probe_sweep(store: Store, shared: Path) -> Iterator[Figure]:
    """The whole sweep of the linear classifier against scikit-learn's LogisticRegression doing the same sweep."""
    archive = _cifar10(shared, "probe")
    if archive is None:
        return
    from bench.figures.probe_sweep import measure

    found = measure(store, archive)
    how = f"{found.train} x {found.dim} features, {found.classes} classes, {found.penalties} penalties; {found.how}"
    yield figure("Linear-classifier sweep, scikit-learn / ours", found.speed, "≥ 5", lambda v: v >= 5, how)
    yield figure(
        "Test accuracy, |scikit-learn − ours|, points",
        [found.difference],
        "≤ 0.2",
        lambda v: v <= 0.2,
        f"each with the penalty that it chose on val; ours {found.ours:.2f} %, theirs {found.theirs:.2f} %",
    )


def neighbours(store: Store, shared: Path) -> Iterator[Figure]:
    """k-NN on all of CIFAR-10 against faiss's exact search, and seconds of k-NN and the probe's sweep together."""
    archive = _cifar10(shared, "neighbours")
    if archive is None:
        return
    from bench.figures.knn_speed import measure

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


def bootstrap(store: Store, shared: Path) -> Iterator[Figure]:
    """Seconds of 1,000 bootstrap draws over 20 cells of 10,000 samples, and of a whole ranking of such cells."""
    from bench.figures.bootstrap_speed import CELLS, SAMPLES, TASKS, bare, whole
    from bench.verdict.ranking import DRAWS

    size = f"{CELLS} cells of {SAMPLES:,} samples"
    yield figure(f"1,000 bootstrap draws over {size}, s", bare(5), "< 10", lambda v: v < 10, "5 repeats, all paired")
    how = f"{TASKS} tasks on two data sets, seeded draws too, {DRAWS:,} bootstrap draws; records to rows; 5 repeats"
    yield figure(f"A ranking of {size}, s", whole(5), "< 10", lambda v: v < 10, how)


def _cifar10(shared: Path, name: str) -> Path | None:
    """CIFAR-10's archive; None, and a word on it, where it is not there."""
    archive = shared / "data" / "cifar10.tar.gz"
    if archive.exists():
        return archive
    print(f"{name}: left out, there is no data/cifar10.tar.gz in the shared folder", file=sys.stderr)
    return None
