"""What corruption costs: extraction of corrupted images beside that of the same images, clean, by the same path."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.figures.deployed import on_each_engine
from bench.figures.figure import Figure, data_of
from bench.figures.photographs import imagenet
from bench.sweep.features import stream
from engines.base import Session
from engines.preprocess.base import Preprocess
from engines.processor import cores
from export.store import Store
from tasks.base import FEATURES
from tasks.data.altered.corruption import corrupted, named

PHOTOGRAPHS = 300
EACH = 16
"""Photographs of a setting: two batches of eight, so that two cores have one each."""


@dataclass(frozen=True)
class Found:
    """Seconds of the same images, corrupted and clean; by corruption, its five severities together."""

    corrupted: dict[str, float]
    clean: dict[str, float]

    @property
    def ratio(self) -> float:
        return sum(self.corrupted.values()) / sum(self.clean.values())

    @property
    def ratios(self) -> dict[str, float]:
        return {name: seconds / self.clean[name] for name, seconds in self.corrupted.items()}


def figures(store: Store, shared: Path) -> Iterator[Figure]:
    """All fifteen corruptions at five severities, one figure a backbone and engine of the demo."""
    encoded = imagenet(store)
    for model in ("resnet50_augnet", "efficientnet_lite0"):
        for name, session, path in on_each_engine(store, model, (1, 8), cores()):
            found = measure(session, path, encoded)
            slowest = sorted(found.ratios.items(), key=lambda item: -item[1])
            yield Figure(
                f"Extraction, corrupted / clean, all 75 settings ({model}, {name})",
                found.ratio,
                (slowest[-1][1], slowest[0][1]),
                "≤ 1.3",
                found.ratio <= 1.3,
                f"{EACH} photographs for each setting, interleaved; the range is over corruptions, by name: "
                + ", ".join(f"{one} {value:.2f}" for one, value in slowest),
            )


def measure(session: Session, path: Preprocess, encoded: Sequence[bytes], seed: int = 0) -> Found:
    """All 75 settings, in random order, each on its own draw of photographs; which side goes first alternates."""
    data = data_of(encoded[:PHOTOGRAPHS])
    settings = named("all")
    draw = random.Random(seed)
    draw.shuffle(settings)
    spent, clean = ({name: 0.0 for name, _ in sorted(settings)} for _ in range(2))
    stream(session, path, data, data.samples[:EACH], [FEATURES])
    for turn, (name, severity) in enumerate(settings):
        samples = draw.sample(list(data.samples), min(EACH, len(data.samples)))
        other = corrupted(data, name, severity, seed)
        other.read(samples[0].id)  # what is computed once for a severity
        for seconds, images in ((spent, other), (clean, data))[:: 1 if turn % 2 else -1]:
            start = time.perf_counter()
            stream(session, path, images, samples, [FEATURES])
            seconds[name] += time.perf_counter() - start
    return Found(spent, clean)
