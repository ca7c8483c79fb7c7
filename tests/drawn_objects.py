"""Pictures of discs and squares for tests of detection: their objects, and maps from which these can be found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from export.spec import PreprocessSpec
from tasks.base import Batchwise, Fitted, Splits, Task
from tasks.data.targets import Objects, PictureObjects

SIZE = (96, 128)
"""Of the pictures, (height, width)."""
SPEC = PreprocessSpec(64, 64, crop_mode="squash", crop_pct=1.0)
CLASSES = ("disc", "square")

Pixels = npt.NDArray[np.bool_]


def shape_of(box: npt.NDArray[np.float64], label: int) -> Pixels:
    """A disc or a square that fills its box: bool, of the picture's size."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    u, v = (2 * (x - box[0]) / (box[2] - box[0]) - 1), (2 * (y - box[1]) / (box[3] - box[1]) - 1)
    inside: Pixels = np.hypot(u, v) <= 1 if label == 0 else np.maximum(abs(u), abs(v)) <= 1
    return inside


def picture_of(boxes: npt.NDArray[np.float64], labels: Sequence[int]) -> PictureObjects:
    """Objects with their shapes."""
    from hotcoco import mask as codes

    shapes = [shape_of(box, label) for box, label in zip(boxes, labels, strict=True)]
    runs = tuple(codes.encode(shape.astype(np.uint8))["counts"] for shape in shapes)
    areas = np.array([shape.sum() for shape in shapes], np.float64)
    return PictureObjects(boxes.reshape(-1, 4), np.array(labels, np.int64), np.zeros(len(labels), bool), areas, runs)


def maps_of(objects: Objects, seed: int, spec: PreprocessSpec = SPEC) -> dict[str, npt.NDArray[np.float32]]:
    """Two taps: what share of each cell each class covers, and a channel of noise."""
    generator = np.random.default_rng(seed)
    out: dict[str, npt.NDArray[np.float32]] = {}
    for stride in (8, 16):
        cells = (spec.height // stride, spec.width // stride)
        rows = np.zeros((len(objects), 3, *cells), np.float32)
        for row, one in enumerate(objects.pictures):
            for box, label in zip(one.boxes, one.labels.tolist(), strict=True):
                whole = shape_of(box, label).reshape(cells[0], SIZE[0] // cells[0], cells[1], SIZE[1] // cells[1])
                rows[row, label % 2] += whole.mean(axis=(1, 3), dtype=np.float32)
        rows[:, 2] = generator.normal(0, 1, rows[:, 2].shape)
        out[f"map_s{stride}"] = rows + 5
    return out


def split_of(pictures: Sequence[PictureObjects], seed: int = 0, classes: Sequence[str] = CLASSES) -> Batchwise:
    """A split with its maps."""
    objects = Objects(tuple(classes), np.array([SIZE] * len(pictures), np.int64).reshape(-1, 2), list(pictures), True)
    return Batchwise(maps_of(objects, seed), objects, SPEC)


def scenes(seed: int, images: int = 24, most: int = 4) -> list[PictureObjects]:
    """Pictures with one object or more, of 20 to 60 pixels."""
    generator = np.random.default_rng(seed)
    out = []
    for _ in range(images):
        sides = generator.integers(20, 60, (int(generator.integers(1, most)), 2))
        low = np.floor(generator.random(sides.shape) * (np.array(SIZE[::-1]) - sides))
        boxes = np.concatenate([low, low + sides], axis=1).astype(np.float64)
        out.append(picture_of(boxes, generator.integers(0, 2, len(boxes)).tolist()))
    return out


def splits() -> Splits:
    """Train, val and test."""
    return Splits(*(split_of(scenes(seed, images), seed) for seed, images in ((0, 24), (1, 8), (2, 12))))


def emitted(task: Task, fitted: Fitted, part: Batchwise) -> Batchwise:
    """The same pictures, with what the fit's head gives for their maps."""
    import onnxruntime

    head = task.head(fitted)
    assert head is not None
    session = onnxruntime.InferenceSession(head.model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    found = session.run(names, {name: np.asarray(rows) for name, rows in part.outputs.items()})
    return replace(part, outputs=dict(zip(names, found, strict=True)))
