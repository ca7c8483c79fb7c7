"""What harming costs: extraction of harmed images beside that of the same images unharmed, through the same path."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.sweep.features import stream
from engines.base import Session
from engines.preprocess.base import Preprocess
from tasks.data.altered.corruption import corrupted, named
from tasks.data.base import DataSet, Sample

PHOTOGRAPHS = 300
EACH = 16
"""Photographs of a setting: two batches of eight, so that two cores have one each."""


@dataclass(frozen=True)
class Found:
    """Seconds of the same images, harmed and unharmed; by corruption, its five severities together."""

    harmed: dict[str, float]
    unharmed: dict[str, float]

    @property
    def ratio(self) -> float:
        return sum(self.harmed.values()) / sum(self.unharmed.values())

    @property
    def ratios(self) -> dict[str, float]:
        return {name: seconds / self.unharmed[name] for name, seconds in self.harmed.items()}


def measure(session: Session, path: Preprocess, encoded: Sequence[bytes], seed: int = 0) -> Found:
    """All 75 settings, in random order, each on its own draw of photographs; which side goes first alternates."""
    names = {f"{i:03d}.jpg": e for i, e in enumerate(encoded[:PHOTOGRAPHS])}
    data = DataSet("photographs", [Sample(n, 0, "test") for n in names], ("all",), "-", names.__getitem__)
    settings = named("all")
    draw = random.Random(seed)
    draw.shuffle(settings)
    harmed, unharmed = ({name: 0.0 for name, _ in sorted(settings)} for _ in range(2))
    stream(session, path, data, data.samples[:EACH], "features")
    for turn, (name, severity) in enumerate(settings):
        samples = draw.sample(list(data.samples), min(EACH, len(data.samples)))
        other = corrupted(data, name, severity, seed)
        other.read(samples[0].id)  # what is computed once for a severity
        for seconds, images in ((harmed, other), (unharmed, data))[:: 1 if turn % 2 else -1]:
            start = time.perf_counter()
            stream(session, path, images, samples, "features")
            seconds[name] += time.perf_counter() - start
    return Found(harmed, unharmed)
