"""images/s of streamed extraction from JPEGs beside the bound that the processor's time sets."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from bench.figures.deployed import on_each_engine
from bench.figures.figure import Figure, data_of, figure, ratios
from bench.figures.photographs import imagenet
from bench.sweep.features import stream
from engines.base import Session
from engines.preprocess.base import Preprocess
from engines.processor import cores
from export.store import Store
from tasks.base import FEATURES

PREPARED, RUNS, REPEATS = 200, 25, 5
"""Images and batches from which the bound is taken; repeats."""


def figures(store: Store, shared: Path) -> Iterator[Figure]:
    """One for each engine of the demo."""
    encoded = imagenet(store)
    for name, session, path in on_each_engine(store, "efficientnet_lite0", (1, 8), cores()):
        yield figure(
            f"Extraction from JPEG, images/s / bound ({name})",
            against_bound(session, path, encoded, REPEATS),
            "≥ 0.90",
            lambda v: v >= 0.90,
            f"EfficientNet-Lite0, {len(encoded):,} JPEGs; bound = cores / (decode + preprocess + engine CPU seconds)",
        )


def against_bound(session: Session, path: Preprocess, encoded: Sequence[bytes], repeats: int) -> list[float]:
    """What streaming reaches of the bound, one a repeat."""
    data = data_of(encoded)
    batch = session.plan.profile.batches[-1]
    some = encoded[:PREPARED]
    pixels = np.stack([path(e) for e in some[:batch]])
    stream(session, path, data, data.samples[: 8 * batch], [FEATURES])

    def bound() -> float:
        start = time.process_time()
        for e in some:
            path(e)
        prepare = (time.process_time() - start) / len(some)
        start = time.process_time()
        for _ in range(RUNS):
            session.run(pixels)
        infer = (time.process_time() - start) / (RUNS * batch)
        return cores() / (prepare + infer)

    def streamed() -> float:
        start = time.perf_counter()
        stream(session, path, data, data.samples, [FEATURES])
        return len(encoded) / (time.perf_counter() - start)

    return ratios(streamed, bound, repeats)
