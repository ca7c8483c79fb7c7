"""The linear classifier's whole sweep beside scikit-learn's: the same features, penalties and tolerance of accuracy."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.figures.deployed import deployed
from bench.figures.figure import Figure, figure, lying_in
from bench.sweep.features import extract
from bench.sweep.keys import feature_key
from bench.sweep.spec import read
from bench.sweep.view import picked, targets
from engines.base import EngineSpec
from engines.processor import cores
from export.store import Store
from tasks.base import FEATURES, Batchwise, Splits
from tasks.data.base import SPLITS, DataSet, Sample, Split
from tasks.data.catalog import open_dataset

SIZES: dict[Split, int] = {"train": 10_000, "val": 2_000, "test": 2_000}


@dataclass(frozen=True)
class Found:
    """``speed``: seconds of scikit-learn over ours, one a repeat; accuracies in percent."""

    train: int
    dim: int
    classes: int
    penalties: int
    speed: list[float]
    ours: float
    theirs: float
    how: str

    @property
    def difference(self) -> float:
        return abs(self.ours - self.theirs)


def figures(store: Store, shared: Path) -> Iterator[Figure]:
    """The speed of the whole sweep, and how far apart the two test accuracies are."""
    archive = lying_in(shared, "cifar10.tar.gz", "probe")
    if archive is None:
        return
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


def measure(store: Store, archive: Path, repeats: int = 1) -> Found:
    """Fit both sweeps on EfficientNet-Lite0's features of CIFAR-10, and choose each one's penalty on val."""
    from tasks.scoring.linear_classifier import PENALTIES, standardisation, standardized
    from tasks.scoring.softmax_regression import fit

    data = _subset(open_dataset(str(archive), store))
    splits = features_of(store, data)
    parts = (splits.train, splits.val, splits.test)
    mean, scale = standardisation(splits.train.features)
    train, val, test = (standardized(part.features, mean, scale) for part in parts)
    y, y_val, y_test = (part.labels for part in parts)
    speed = []
    for _ in range(repeats):
        start = time.perf_counter()
        solutions = fit(train, y, len(data.classes), PENALTIES)
        ours_seconds = time.perf_counter() - start
        start = time.perf_counter()
        theirs, capped = _scikit(train, y, PENALTIES)
        theirs_seconds = time.perf_counter() - start
        speed.append(theirs_seconds / ours_seconds)
    ours_best = max(solutions, key=lambda s: float((s.logits(val).argmax(axis=1) == y_val).mean()))
    theirs_best = max(theirs, key=lambda m: m.score(val, y_val))
    converged = sum(s.converged for s in solutions)
    return Found(
        len(train),
        train.shape[1],
        len(data.classes),
        len(PENALTIES),
        speed,
        100 * float((ours_best.logits(test).argmax(axis=1) == y_test).mean()),
        100 * float(theirs_best.score(test, y_test)),
        f"ours {ours_seconds:.1f} s ({converged} converged), scikit-learn {theirs_seconds:.1f} s "
        f"({len(PENALTIES) - capped} converged within its 1,000 iterations, its own tolerance)",
    )


def _scikit(x: npt.NDArray[np.float32], y: npt.NDArray[np.int64], penalties: Sequence[float]) -> tuple[list[Any], int]:
    """scikit-learn's models, and how many hit the limit of iterations. Its C is 1 / (n λ)."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    models, capped = [], 0
    for penalty in penalties:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            models.append(LogisticRegression(C=1 / (len(x) * penalty), max_iter=1000).fit(x, y))
        capped += any(issubclass(w.category, ConvergenceWarning) for w in caught)
    return models, capped


def _subset(data: DataSet) -> DataSet:
    """The first images of each class, as many as ``SIZES`` asks for; val is taken from what is left of train."""
    rest = {name: data.split(name) for name in SPLITS}
    rest["val"] = rest["val"] or rest["train"][::-1]
    chosen: list[Sample] = []
    for name in SPLITS:
        share = SIZES[name] // len(data.classes)
        for label in range(len(data.classes)):
            of_class = [s for s in rest[name] if s.label == label][:share]
            chosen += [replace(s, split=name) for s in of_class]
    return replace(data, samples=chosen, digest=f"{data.digest}-{sum(SIZES.values())}")


def features_of(store: Store, data: DataSet) -> Splits:
    """EfficientNet-Lite0's features of ``data``, 1,280 wide, by the demo's first engine; extracted once."""
    found = deployed(store, "efficientnet_lite0", EngineSpec(read().engines[0], streams=cores()), (8,))
    whole = feature_key(found.plan.key, found.path.identity(found.path.orientation), data.digest, FEATURES)
    rows, _ = extract(found.load, {FEATURES: whole}, found.path, data, store)
    parts = [Batchwise({FEATURES: picked(data, name, [rows[FEATURES]])[:]}, targets(data, name)) for name in SPLITS]
    return Splits(*parts)
