"""The linear classifier's whole sweep beside scikit-learn's: the same features, penalties and tolerance of accuracy."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.sweep.features import extract, feature_key
from bench.sweep.spec import read
from engines.base import EngineSpec, Profile
from engines.catalog import engine
from engines.preprocess.catalog import preprocess
from engines.processor import cores
from export.lower.precision import artifact
from export.store import Store
from export.zoo.backbones import resolve
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


def measure(store: Store, archive: Path, repeats: int = 1) -> Found:
    """Fit both sweeps on EfficientNet-Lite0's features of CIFAR-10, and choose each one's penalty on val."""
    from tasks.scoring.linear_classifier import PENALTIES, standardized
    from tasks.scoring.softmax_regression import fit

    data = _subset(open_dataset(str(archive), store))
    vectors = features_of(store, data)
    where = np.array([s.split for s in data.samples])
    train, val, test = standardized(*(vectors[where == name] for name in SPLITS))
    labels = np.array([s.label for s in data.samples], np.int64)
    y, y_val, y_test = (labels[where == name] for name in SPLITS)
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


def features_of(store: Store, data: DataSet) -> npt.NDArray[np.float32]:
    """EfficientNet-Lite0's features of ``data``, float32 [n, 1280], by the demo's first engine; extracted once."""
    made = artifact(resolve("efficientnet_lite0"), store)
    runner = engine(EngineSpec(read().engines[0], streams=cores()))
    plan = runner.plan(made, Profile((8,)), store)
    path = preprocess(read().preprocess, made.preprocess, store)
    whole = feature_key(plan.key, path.identity(), data, "features")
    vectors, _ = extract(lambda: runner.load(plan), whole, path, data, "features", store)
    return vectors
