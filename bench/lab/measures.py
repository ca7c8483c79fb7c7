"""What is measured of each way of resizing: pixels and time, features, accuracy."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.lab.variants import REFERENCE, Variant, pixels_of
from engines.base import Session
from engines.batches import run_all
from engines.preprocess.threads import one_thread
from export.artifact import Artifact
from export.picture import decode
from export.progress import say
from tasks.data.base import DataSet
from tasks.scoring.features import l2_normalized
from tasks.scoring.neighbours import K, predict
from tasks.scoring.resampling import paired_difference

BATCH = 8
REPEATS = 5


@dataclass(frozen=True)
class Pixels:
    """How far a variant's pixels are from Pillow's, in 1/255, over all photographs; and milliseconds for one.

    ``differing`` is the share of values that are not equal, in percent.
    """

    variant: str
    what: str
    largest: int
    mean: float
    differing: float
    ms: float


@dataclass(frozen=True)
class Features:
    """Cosines of its features with those of Pillow's pixels, photograph by photograph: the least and the mean."""

    model: str
    variant: str
    least: float
    mean: float


@dataclass(frozen=True)
class Accuracy:
    """k-NN accuracy in percent, and its change from Pillow's in points: ``all`` images resized so, or ``queries``."""

    model: str
    data: str
    variant: str
    which: str
    accuracy: float
    change: float
    stderr: float
    low: float
    high: float
    n: int

    @property
    def clear(self) -> bool:
        """Whether the 95 % interval leaves out zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Report:
    """All that was measured; ``how`` says on what."""

    how: dict[str, Any]
    pixels: list[Pixels]
    features: list[Features]
    accuracies: list[Accuracy]


def of_pixels(ways: Sequence[Variant], images: Sequence[Any], made: Artifact) -> Iterator[Pixels]:
    """Errors, and the median of interleaved repeats of the time, each way on one thread."""
    spec = made.preprocess
    seconds: dict[str, list[float]] = {way.name: [] for way in ways}
    with one_thread():
        for _ in range(REPEATS):
            for way in ways:
                start = time.perf_counter()
                for image in images:
                    way.resize(image, spec)
                seconds[way.name].append((time.perf_counter() - start) / len(images))
    wanted = pixels_of(ways[0], images, spec).astype(np.int16)
    for way in ways:
        off = np.abs(pixels_of(way, images, spec) - wanted)
        ms = float(np.median(seconds[way.name])) * 1000
        yield Pixels(way.name, way.what, int(off.max()), float(off.mean()), 100 * float((off > 0).mean()), ms)


def of_features(
    model: str, session: Session, made: Artifact, ways: Sequence[Variant], images: Sequence[Any]
) -> Iterator[Features]:
    """Cosines, photograph by photograph."""
    wanted = None
    for way in ways:
        found = embed(session, pixels_of(way, images, made.preprocess))
        if wanted is None:
            wanted = found
            continue
        cosines = (found * wanted).sum(axis=1)
        yield Features(model, way.name, float(cosines.min()), float(cosines.mean()))


def of_accuracy(
    model: str, session: Session, made: Artifact, ways: Sequence[Variant], data: DataSet
) -> Iterator[Accuracy]:
    """k-NN by the protocol of the task ``knn``, and paired differences from Pillow's."""
    spec = made.preprocess
    parts = {name: data.split(name) for name in ("train", "test")}
    labels = {name: np.array([s.label for s in samples]) for name, samples in parts.items()}
    images = {name: [decode(data.read(s.id)) for s in samples] for name, samples in parts.items()}
    found: dict[str, dict[str, npt.NDArray[np.float32]]] = {}
    for way in ways:
        say(f"  {model}: k-NN on {data.name}, {way.name}")
        found[way.name] = {
            name: embed(session, np.stack([way.resize(image, spec) for image in images[name]])) for name in parts
        }

    def right(gallery: str, queries: str) -> npt.NDArray[np.float64]:
        k = min(K, len(labels["train"]))
        [predicted] = predict(found[gallery]["train"], labels["train"], found[queries]["test"], [k], len(data.classes))
        found_right: npt.NDArray[np.float64] = (predicted == labels["test"]).astype(np.float64)
        return found_right

    wanted = right(REFERENCE, REFERENCE)
    for way in ways:
        for which, gallery in (("all", way.name), ("queries", REFERENCE)):
            got = right(gallery, way.name)
            d = paired_difference(got, wanted)
            accuracy, change, error, low, high = (
                100 * float(value) for value in (got.mean(), d.value, d.stderr, d.low, d.high)
            )
            yield Accuracy(model, data.name, way.name, which, accuracy, change, error, low, high, len(got))


def embed(session: Session, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """L2-normalised features, float32 [n, d]."""
    return l2_normalized(run_all(session, pixels)["features"])
