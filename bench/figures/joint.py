"""What joining a head to its backbone costs: p50 of the joint file beside the sum of its two parts, each alone.

The parts are the backbone up to the maps that the head reads, and the head. Each is timed in a process of its own,
since sessions in one process spin beside each other, and in turns. The head is fitted on photographs whose brightness
is the class: what it has learned does not move its time.

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
from tasks.base import Batchwise, Head
from tasks.catalog import TASKS, task
from tasks.data.targets import Mask, Masks

BACKBONE, SIZE = "efficientnet_lite0", "352x480"
IMAGES, SECONDS, REPEATS = 24, 4.0, 7
CLASSES = 11
MOST = 1.02


def figures(store: Store, shared: Path) -> Iterator[Figure]:
    """One: what is measured is the file, on one engine."""
    import onnx
    from onnx import utils

    base = artifact(replace(resolve(BACKBONE), size=SIZE, resize="squash"), store, taps=[SCALES])
    pictures = [decode(encoded) for encoded in imagenet(store)[:IMAGES]]
    values = normalize(np.stack([resize_and_crop(one, base.preprocess) for one in pictures]), base.preprocess)
    taps = [output.name for output in base.outputs[1:]]
    found = session(base.onnx).run(taps, {base.input: values})
    maps = dict(zip(taps, found, strict=True))
    head = _head(base, maps, pictures)
    with tempfile.TemporaryDirectory(prefix="backbones-") as place:
        folder, whole = Path(place), onnx.load(base.onnx)
        files: dict[str, tuple[Any, Mapping[str, Any]]] = {
            "backbone": (utils.Extractor(whole).extract_model([base.input], taps), {base.input: values}),
            "head": (onnx.load_from_string(head.model), maps),
            "joint": (joined_model(whole, onnx.load_from_string(head.model)), {base.input: values}),
        }
        for name, (model, inputs) in files.items():
            onnx.save(model, folder / f"{name}.onnx")
            np.savez(folder / f"{name}.npz", **dict(inputs))
        p50 = {name: list[float]() for name in files}
        for _ in range(REPEATS):
            for name in files:
                arguments = (str(folder / f"{name}.onnx"), str(folder / f"{name}.npz"), str(SECONDS))
                p50[name].append(float(timed("bench.figures.joint", *arguments)[1]))
    share = [j / (b + h) for j, b, h in zip(p50["joint"], p50["backbone"], p50["head"], strict=True)]
    ms = ", ".join(f"{name} {median(times) / 1e6:.1f}" for name, times in p50.items())
    yield figure(
        "Joint plan / sum of its parts, p50 (ONNX Runtime)",
        share,
        f"≤ {MOST:g}",
        lambda v: v <= MOST,
        f"{BACKBONE} at {SIZE} with a linear head of {CLASSES} classes, ms: {ms}; {REPEATS} repeats in turns of "
        f"{SECONDS:g} s on {processor()}",
    )


def _head(base: Artifact, maps: Mapping[str, Any], pictures: list[Any]) -> Head:
    def mask(row: int) -> Mask:
        brightness = pictures[row].mean(axis=2) * CLASSES // 256
        return np.asarray(np.minimum(brightness, CLASSES - 1), np.int16)

    sizes = np.array([one.shape[:2] for one in pictures])
    half = len(pictures) // 2

    def part(start: int, stop: int) -> Batchwise:
        masks = Masks(tuple(map(str, range(CLASSES))), sizes[start:stop], lambda row: mask(start + row))
        return Batchwise({name: rows[start:stop] for name, rows in maps.items()}, masks, base.preprocess)

    scorers = map(task, TASKS)
    scorer = next(one for one in scorers if (one.meta.kind, one.meta.head) == ("masks", "deployed"))
    head = scorer.head(scorer.fit(part(0, half), part(half, len(pictures)), seed=0))
    assert head is not None
    return head


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
