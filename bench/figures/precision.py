"""What a precision buys and costs on this machine: how long a file takes to make, and one network in every precision on
every engine that runs here.

The sessions take turns, so that a busy minute hits all of them; each figure is images/s over the best fp32 engine's in
the same turn. Closeness is the cosine of the features to the fp32 file's, on photographs that nothing was chosen on.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from bench.figures.deployed import deployed
from bench.figures.figure import Figure, figure
from bench.figures.photographs import SOURCES, imagenet, source
from bench.sweep.spec import read
from engines.base import EngineSpec, Pixels, Session
from engines.catalog import engine
from engines.processor import cores
from export.errors import UserError
from export.lower.calibration import TRAIN, VAL, CalibrationSet
from export.lower.precision import artifact, lowered
from export.parity import compare
from export.picture import decode
from export.progress import say
from export.reference import resize_and_crop
from export.spec import Precision
from export.store import Store, key
from export.zoo.backbones import resolve

BATCH = 8
TURNS, PER_TURN = 7, 4
TEST = 64
PRECISIONS = (Precision.FP32, Precision.BF16, Precision.INT8)
WANTED_SECONDS = {"mobilenetv2": 30.0, "resnet50_augnet": 60.0, "vit_s@random": 90.0}
"""To make INT8 on two cores."""
WANTED_SPEED = {"resnet50_augnet": {"int8": 3.0, "bf16": 1.6}, "vit_s@random": {"int8": 2.2, "bf16": 1.6}}
WANTED_COSINE = {"resnet50_augnet": 0.99, "vit_s@random": 0.98}


@dataclass(frozen=True)
class Runner:
    """One cell: how fast it was in each turn (images/s), and how close its features are."""

    engine: str
    precision: Precision
    emulated: str
    cosine_min: float
    cosine_mean: float
    images_per_s: list[float]


def figures(store: Store, shared: Path) -> Iterator[Figure]:
    """Seconds to make INT8; then, on every engine, images/s of bf16 and int8 over the best fp32 engine and the least
    cosine of int8's features.
    """
    for model, seconds in WANTED_SECONDS.items():
        yield making(store, model, seconds)
    for model, wanted in WANTED_SPEED.items():
        runners = race(store, model)
        fp32 = best(runners, Precision.FP32)
        for runner in runners:
            name = f"{runner.engine} {runner.precision}" + (" (emulated)" if runner.emulated else "")
            target = wanted.get(str(runner.precision), 0.0)
            if runner.images_per_s != best(runners, runner.precision):
                target = 0.0  # it is wanted of the fastest engine
            yield figure(
                f"{model}: {name} / best fp32, images/s",
                [a / b for a, b in zip(runner.images_per_s, fp32, strict=True)],
                f"≥ {target:g}" if target else "–",
                lambda v, t=target: v >= t,  # type: ignore[misc]
                f"batch 8, {median(runner.images_per_s):.1f} images/s; cosine mean {runner.cosine_mean:.4f}",
            )
            if runner.precision is Precision.INT8:
                least = WANTED_COSINE[model]
                yield figure(
                    f"{model}: {name}, least cosine of the features to fp32",
                    [runner.cosine_min],
                    f"≥ {least}",
                    lambda v, t=least: v >= t,  # type: ignore[misc]
                    f"{TEST} photographs of scenes on which nothing was calibrated or chosen",
                )


def making(store: Store, model: str, wanted: float) -> Figure:
    """Seconds to make INT8 of a backbone whose fp32 file is there: all that is read, run, chosen, written and judged.

    Raises:
        UserError: as :func:`export.lower.precision.artifact`.
    """
    base = artifact(resolve(model), store)
    calibration, _ = divided(imagenet(store))
    with TemporaryDirectory() as folder:
        start, before = time.perf_counter(), time.process_time()
        made = lowered(base, Precision.INT8, calibration, Path(folder), say)
        seconds, processor = time.perf_counter() - start, time.process_time() - before
    parity, chosen = made["parity"], made["chosen"]
    return figure(
        f"{model}: seconds to make INT8 from {len(calibration.train)} photographs",
        [seconds],
        f"≤ {wanted:g}",
        lambda v: v <= wanted,
        f"{processor:.1f} s of {cores()} cores; {chosen['calibrator']}, {chosen['weight_bits']}-bit weights, "
        f"{len(chosen['kept_fp32'])} nodes in fp32; least cosine {parity['cosine_min']:.4f} over {parity['images']} "
        f"photographs that nothing was chosen on: parity {'passed' if parity['passed'] else 'FAILED'}",
    )


def divided(encoded: Sequence[bytes], seed: int = 0) -> tuple[CalibrationSet, list[bytes]]:
    """A seeded division of what :mod:`bench.figures.photographs` makes: to calibrate on and choose by, and to measure
    on. No published photograph has parts on two sides.
    """
    sources = list(range(SOURCES))
    random.Random(seed).shuffle(sources)
    third = SOURCES // 3
    train, val, test = (
        [i for i in range(len(encoded)) if source(i) in part]
        for part in (sources[:third], sources[third : 2 * third], sources[2 * third :])
    )
    names = {f"{i:04d}": e for i, e in enumerate(encoded)}
    train_ids, val_ids = (tuple(f"{i:04d}" for i in part) for part in (train[:TRAIN], val[:VAL]))
    identity = key("photographs", sha256=[hashlib.sha256(e).hexdigest() for e in encoded], seed=seed)
    calibration = CalibrationSet("photographs", train_ids, val_ids, identity, names.__getitem__)
    return calibration, [encoded[i] for i in test[:TEST]]


def race(store: Store, model: str) -> list[Runner]:
    """Measure ``model`` in fp32, bf16 and int8 on every engine of the demo that runs them."""
    calibration, test = divided(imagenet(store))
    with ExitStack() as stack:
        sessions: dict[tuple[str, Precision], Session] = {}
        for precision in PRECISIONS:
            for name in read().engines:
                spec = EngineSpec.parse(name, cores())
                if precision not in engine(spec).precisions:
                    continue
                try:
                    found = deployed(store, model, spec, (1, BATCH), precision, calibration)
                    sessions[name, precision] = stack.enter_context(found.load())
                except UserError as error:
                    say(f"{model} {name} {precision}: left out: {error.what}")
        preprocess = next(iter(sessions.values())).preprocess
        pixels = np.stack([resize_and_crop(decode(e), preprocess) for e in test])
        return list(_measure(sessions, pixels))


def _measure(sessions: dict[tuple[str, Precision], Session], pixels: Pixels) -> Iterator[Runner]:
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
        emulated = sessions[name, precision].plan.emulated
        yield Runner(name, precision, emulated, close.cosine_min, close.cosine_mean, speed)


def best(runners: Sequence[Runner], precision: Precision) -> list[float]:
    """images/s in each turn of the engine that was fastest (by median) in that precision."""
    return max((r.images_per_s for r in runners if r.precision is precision), key=median)
