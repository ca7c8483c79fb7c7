"""What joining a head to its backbone costs: p50 of the joint file beside its parts, each alone.

The parts are the backbone up to the maps that the head reads, and the head. Each is timed in a process of its own,
since sessions in one process spin beside each other, and in turns. A segmenter is fitted on photographs whose
brightness is the class: what it has learned does not move its time.

``python -m bench.figures.joint FILE INPUTS SECONDS`` is such a process: it prints the median in ns.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.figures.figure import Figure, figure
from bench.figures.photographs import imagenet
from bench.figures.process import timed
from bench.measure.machine import processor
from export.artifact import Artifact
from export.convert.joining import joined_model
from export.convert.onnx_from_torch import artifact
from export.convert.outputs import SCALES
from export.convert.verify import session
from export.picture import decode
from export.reference import normalize, resize_and_crop
from export.store import Store
from export.zoo.backbones import resolve
from tasks.base import FEATURES, Batchwise, Head, Labels
from tasks.catalog import TASKS, task
from tasks.data.targets import Mask, Masks

BACKBONE, SIZE = "efficientnet_lite0", "352x480"
IMAGES, SECONDS, REPEATS = 24, 4.0, 7
CLASSES = 11
MOST, MOST_OF_BACKBONE = 1.02, 1.03


def figures(store: Store, shared: Path) -> Iterator[Figure]:
    """One for each head: what is measured is the file, on one engine."""
    pictures = [decode(encoded) for encoded in imagenet(store)[:IMAGES]]
    dense = artifact(replace(resolve(BACKBONE), size=SIZE, resize="squash"), store, taps=[SCALES])
    inputs = _inputs(dense, pictures)
    yield _ratio(
        "Joint plan / sum of its parts, p50 (ONNX Runtime)",
        MOST,
        f"{BACKBONE} at {SIZE} with a linear head of {CLASSES} classes",
        _timed(dense, _segmenter(dense, inputs, pictures), inputs),
        over=("backbone", "head"),
    )
    pooled = artifact(resolve(BACKBONE), store)
    inputs = _inputs(pooled, pictures)
    yield _ratio(
        "Joint plan with a linear classifier / backbone alone, p50 (ONNX Runtime)",
        MOST_OF_BACKBONE,
        f"{BACKBONE} with {CLASSES} classes",
        _timed(pooled, _classifier(pooled, inputs, pictures), inputs),
        over=("backbone",),
    )


def _inputs(base: Artifact, pictures: list[Any]) -> dict[str, Any]:
    """The backbone's input, and what it gives the head."""
    values = normalize(np.stack([resize_and_crop(one, base.preprocess) for one in pictures]), base.preprocess)
    names = [output.name for output in base.outputs]
    read = names[1:] or names
    return {base.input: values, **dict(zip(read, session(base.onnx).run(read, {base.input: values}), strict=True))}


def _timed(base: Artifact, head: Head, inputs: Mapping[str, Any]) -> dict[str, list[float]]:
    """p50 in ns of the backbone up to what the head reads, of the head, and of both, in turns, each in a process."""
    import onnx
    from onnx import utils

    whole, over = onnx.load(base.onnx), onnx.load_from_string(head.model)
    taps = [value.name for value in over.graph.input]
    first, between = {base.input: inputs[base.input]}, {tap: inputs[tap] for tap in taps}
    files: dict[str, tuple[Any, Mapping[str, Any]]] = {
        "backbone": (utils.Extractor(whole).extract_model([base.input], taps), first),
        "head": (over, between),
        "joint": (joined_model(whole, over), first),
    }
    p50 = {name: list[float]() for name in files}
    with tempfile.TemporaryDirectory(prefix="backbones-") as place:
        folder = Path(place)
        for name, (model, given) in files.items():
            onnx.save(model, folder / f"{name}.onnx")
            np.savez(folder / f"{name}.npz", **dict(given))
        for _ in range(REPEATS):
            for name in files:
                arguments = (str(folder / f"{name}.onnx"), str(folder / f"{name}.npz"), str(SECONDS))
                p50[name].append(float(timed("bench.figures.joint", *arguments)[1]))
    return p50


def _ratio(title: str, most: float, what: str, p50: Mapping[str, list[float]], over: tuple[str, ...]) -> Figure:
    beneath = [sum(times) for times in zip(*(p50[name] for name in over), strict=True)]
    share = [joint / other for joint, other in zip(p50["joint"], beneath, strict=True)]
    ms = ", ".join(f"{name} {median(times) / 1e6:.2f}" for name, times in p50.items())
    note = f"{what}, ms: {ms}; {REPEATS} repeats in turns of {SECONDS:g} s on {processor()}"
    return figure(title, share, f"≤ {most:g}", lambda v: v <= most, note)


def _classifier(base: Artifact, inputs: Mapping[str, Any], pictures: list[Any]) -> Head:
    """Its classes go round the pictures: what it has learned does not move its time."""
    labels = Labels(np.arange(len(pictures)) % CLASSES, tuple(map(str, range(CLASSES))))
    part = Batchwise({FEATURES: inputs[FEATURES]}, labels)
    return _deployed("labels", part, part)


def _deployed(kind: str, train: Batchwise, val: Batchwise) -> Head:
    """The head of the task for that kind of data which has one."""
    scorer = next(one for one in map(task, TASKS) if (one.meta.kind, one.meta.head) == (kind, "deployed"))
    head = scorer.head(scorer.fit(train, val, seed=0))
    assert head is not None
    return head


def _segmenter(base: Artifact, inputs: Mapping[str, Any], pictures: list[Any]) -> Head:
    def mask(row: int) -> Mask:
        brightness = pictures[row].mean(axis=2) * CLASSES // 256
        return np.asarray(np.minimum(brightness, CLASSES - 1), np.int16)

    sizes = np.array([one.shape[:2] for one in pictures])
    half = len(pictures) // 2

    def part(start: int, stop: int) -> Batchwise:
        masks = Masks(tuple(map(str, range(CLASSES))), sizes[start:stop], lambda row: mask(start + row))
        taps = {name: rows[start:stop] for name, rows in inputs.items() if name != base.input}
        return Batchwise(taps, masks, base.preprocess)

    return _deployed("masks", part(0, half), part(half, len(pictures)))


def main() -> int:
    """Time one file, and print the median."""
    runtime, inputs, seconds = session(Path(sys.argv[1])), dict(np.load(sys.argv[2])), float(sys.argv[3])
    count = len(next(iter(inputs.values())))
    queries = [{name: np.ascontiguousarray(rows[i : i + 1]) for name, rows in inputs.items()} for i in range(count)]
    for query in queries:
        runtime.run(None, query)
    times: list[int] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter_ns()
        runtime.run(None, queries[len(times) % count])
        times.append(time.perf_counter_ns() - start)
    print(median(times))
    return 0


if __name__ == "__main__":
    sys.exit(main())
