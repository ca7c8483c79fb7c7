"""Small real things for tests: drawn photographs, a data set of them, a session that does honest arithmetic."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from engines.base import EngineSpec, Outputs, Pixels, Placement, Plan, Profile, Session
from engines.preprocess.pillow import PillowPreprocess
from export.artifact import Artifact
from export.spec import Precision, PreprocessSpec, TensorSpec
from export.store import Store
from tasks.data.base import DataSet, Sample, Split

SPEC = PreprocessSpec(32, 32, "bilinear", 1.0)


def photograph(seed: int, height: int = 60, width: int = 80) -> bytes:
    """A JPEG of smooth random colours: no two seeds give the same picture."""
    draw = np.random.default_rng(seed)
    small = draw.integers(0, 255, (5, 7, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).save(out, "JPEG", quality=90)
    return out.getvalue()


def dataset(count: int = 30, classes: int = 3) -> DataSet:
    """``count`` drawn photographs over all splits."""
    splits: tuple[Split, ...] = ("train", "val", "test")
    samples = [Sample(f"{i:04d}.jpg", i % classes, splits[i // classes % 3]) for i in range(count)]
    samples.sort(key=lambda s: (s.split, s.id))
    names = tuple(f"class {c}" for c in range(classes))
    return DataSet("drawn", samples, names, f"drawn-{count}-{classes}", lambda i: photograph(int(i[:4])))


def plan(batches: tuple[int, ...] = (1, 4), folder: Path = Path("nowhere"), tokens: bool = False) -> Plan:
    """A plan for :class:`MeanColour`; nothing of it is on disk."""
    outputs = (TensorSpec("features", (3,)), *([TensorSpec("tokens", (2, 3))] if tokens else []))
    artifact = Artifact(
        "onnx-key", folder, "mean_colour", Precision.FP32, SPEC, "input", outputs, False, 0, 0.0, {}, None
    )
    return Plan("plan-key", folder, "content", 0, EngineSpec("fake", "cpu"), Profile(batches), artifact, {})


class MeanColour(Session):
    """Features = the mean of each channel, over 255; tokens, where asked for, the same of the upper and lower half.

    ``seen`` holds the batches that it was given.
    """

    def __init__(self, of: Plan) -> None:
        super().__init__(of)
        self.seen: list[int] = []

    def _run(self, pixels: Pixels) -> Outputs:
        self.seen.append(len(pixels))
        found = {"features": (pixels.mean(axis=(1, 2)) / 255).astype(np.float32)}
        if len(self.outputs) > 1:
            halves = pixels.reshape(len(pixels), 2, -1, 3)
            found["tokens"] = (halves.mean(axis=2) / 255).astype(np.float32)
        return found

    def _placement(self) -> Placement:
        return Placement("cpu", {"cpu": 1})


class PillowPath(PillowPreprocess):
    """The path ``pillow``, which keeps nothing in a store."""

    def __init__(self, spec: PreprocessSpec = SPEC) -> None:
        super().__init__(spec, Store(Path("nowhere")))
