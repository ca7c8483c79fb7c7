"""What a precision buys and costs on this machine: one network in every precision on every engine that runs here.

The sessions take turns, so that a busy minute hits all of them; each figure is images/s over the best fp32 engine's in
the same turn. Closeness is the cosine of the features to the fp32 file's, on photographs that nothing was chosen on.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.sweep.spec import read
from engines.base import EngineSpec, Profile, Session
from engines.catalog import engine
from engines.processor import cores
from export.errors import UserError
from export.lower.calibration import TRAIN, VAL, CalibrationSet
from export.lower.precision import artifact
from export.parity import compare
from export.reference import decode, resize_and_crop
from export.spec import Precision
from export.store import Store, key
from export.zoo.backbones import resolve

BATCH = 8
TURNS, PER_TURN = 7, 4
TEST = 64
PRECISIONS = (Precision.FP32, Precision.BF16, Precision.INT8)


@dataclass(frozen=True)
class Runner:
    """One cell: how fast it was in each turn (images/s), and how close its features are."""

    engine: str
    precision: Precision
    emulated: str
    cosine_min: float
    cosine_mean: float
    images_per_s: list[float]


def photographs_of(encoded: Sequence[bytes], seed: int = 0) -> tuple[CalibrationSet, list[bytes]]:
    """A seeded division: photographs to calibrate on and to choose by, and others to measure on."""
    order = list(range(len(encoded)))
    random.Random(seed).shuffle(order)
    train = min(TRAIN, len(order) // 3)
    val = min(VAL, len(order) // 3)
    names = {f"{i:04d}": encoded[i] for i in order}
    ids = tuple(names)
    identity = key("photographs", count=len(encoded), bytes=[len(e) for e in encoded], seed=seed)
    found = CalibrationSet("photographs", ids[:train], ids[train : train + val], identity, names.__getitem__)
    return found, [names[i] for i in ids[train + val :][:TEST]]


def race(store: Store, model: str, encoded: Sequence[bytes]) -> list[Runner]:
    """Measure ``model`` in fp32, bf16 and int8 on every engine of the demo that runs them."""
    calibration, test = photographs_of(encoded)
    sessions: dict[tuple[str, Precision], Session] = {}
    emulated: dict[tuple[str, Precision], str] = {}
    pixels: npt.NDArray[np.uint8] | None = None
    try:
        for precision in PRECISIONS:
            made = artifact(resolve(model), store, precision=precision, calibration=calibration)
            if pixels is None:
                pixels = np.stack([resize_and_crop(decode(e), made.preprocess) for e in test])
            for name in read().engines:
                runner = engine(replace(EngineSpec.parse(name), threads=cores()))
                if precision not in runner.precisions:
                    continue
                try:
                    plan = runner.plan(made, Profile((1, BATCH)), store)
                    sessions[name, precision] = runner.load(plan)
                except UserError as error:
                    print(f"{model} {name} {precision}: left out: {error.what}", file=sys.stderr)
                    continue
                emulated[name, precision] = plan.emulated
        assert pixels is not None
        return list(_measure(sessions, emulated, pixels))
    finally:
        for session in sessions.values():
            session.close()


def _measure(
    sessions: dict[tuple[str, Precision], Session], emulated: dict[tuple[str, Precision], str], pixels: Any
) -> Iterator[Runner]:
    batches = [np.ascontiguousarray(pixels[i : i + BATCH]) for i in range(0, len(pixels) - BATCH + 1, BATCH)]
    features = {
        cell: np.concatenate([next(iter(session.run(b).values())) for b in batches])
        for cell, session in sessions.items()
    }
    wanted = next(found for (_, precision), found in features.items() if precision is Precision.FP32)
    speeds: dict[tuple[str, Precision], list[float]] = {cell: [] for cell in sessions}
    for turn in range(TURNS):
        cells = list(sessions)
        random.Random(turn).shuffle(cells)
        for cell in cells:
            session = sessions[cell]
            session.run(batches[0])
            start = time.perf_counter()
            for i in range(PER_TURN):
                session.run(batches[(turn * PER_TURN + i) % len(batches)])
            speeds[cell].append(PER_TURN * BATCH / (time.perf_counter() - start))
    for (name, precision), speed in speeds.items():
        close = compare(features[name, precision], wanted, precision)
        yield Runner(name, precision, emulated[name, precision], close["cosine_min"], close["cosine_mean"], speed)


def best(runners: Sequence[Runner], precision: Precision) -> list[float]:
    """images/s in each turn of the engine that was fastest (by median) in that precision."""
    return max((r.images_per_s for r in runners if r.precision is precision), key=median)
