"""Pictures with masks, and maps that show their classes: splits for tests of segmentation, made of arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from export.geometry import Frame
from export.spec import PreprocessSpec
from tasks.base import Batchwise, Fitted, Splits
from tasks.data.targets import VOID, Mask, Masks

CLASSES = ("sky", "road", "tree", "car")
TAPS = {8: 6, 16: 10}
"""Channels by stride."""
SQUASHED = PreprocessSpec(48, 64, "bilinear", 1.0, "squash")
LETTERBOXED = PreprocessSpec(64, 64, "bilinear", 1.0, "border")

Floats = npt.NDArray[np.float32]


def mask(generator: np.random.Generator, height: int, width: int, classes: int = len(CLASSES)) -> Mask:
    """Rectangles of random classes, some void, on a ground of the first."""
    found = np.zeros((height, width), np.int16)
    for _ in range(7):
        y, x = generator.integers(height), generator.integers(width)
        h, w = 1 + generator.integers(height), 1 + generator.integers(width)
        found[y : y + h // 2 + 1, x : x + w // 2 + 1] = generator.integers(VOID, classes)
    return found


def masks_of(masks: Sequence[Mask], classes: Sequence[str] = CLASSES) -> Masks:
    """Targets that lie in memory."""
    sizes = np.array([m.shape for m in masks], np.int64).reshape(-1, 2)
    return Masks(tuple(classes), sizes, lambda row: masks[row])


def split(
    masks: Sequence[Mask],
    spec: PreprocessSpec = SQUASHED,
    noise: float = 0.3,
    taps: Mapping[int, int] = TAPS,
    classes: Sequence[str] = CLASSES,
    seed: int = 0,
) -> Batchwise:
    """Maps that say at each cell of which class the pixel in its middle is, through a fixed mixing, and noise."""
    generator, outputs = np.random.default_rng([seed, len(masks)]), {}
    for stride, channels in taps.items():
        mixing = np.random.default_rng(stride).normal(size=(len(classes) + 1, channels))
        grid = (spec.height // stride, spec.width // stride)
        maps = np.empty((len(masks), channels, *grid), np.float32)
        for row, truth in enumerate(masks):
            frame = Frame.of(spec, *truth.shape)
            for y in range(grid[0]):
                for x in range(grid[1]):
                    row_at = ((y + 0.5) * stride + frame.top) / frame.scale[1]
                    column_at = ((x + 0.5) * stride + frame.left) / frame.scale[0]
                    inside = 0 <= row_at < truth.shape[0] and 0 <= column_at < truth.shape[1]
                    maps[row, :, y, x] = mixing[truth[int(row_at), int(column_at)] if inside else VOID]
        outputs[f"map_s{stride}"] = maps + noise * generator.normal(size=maps.shape).astype(np.float32)
    return Batchwise(outputs, masks_of(masks, classes), spec)


def scenes(spec: PreprocessSpec = SQUASHED, counts: Sequence[int] = (24, 8, 12), noise: float = 0.3) -> Splits:
    """Three splits of pictures of several sizes."""
    parts = []
    for which, count in enumerate(counts):
        generator = np.random.default_rng(which)
        sizes = [((60, 80), (50, 90), (96, 64))[i % 3] for i in range(count)]
        parts.append(split([mask(generator, *size) for size in sizes], spec, noise, seed=which))
    return Splits(*parts)


def some(part: Batchwise, rows: Sequence[int]) -> Batchwise:
    """These pictures, in this order."""
    outputs = {name: np.asarray(values)[list(rows)] for name, values in part.outputs.items()}
    return replace(part, outputs=outputs, targets=masks_of([part.masks[row] for row in rows], part.classes))


def remasked(part: Batchwise, masks: Sequence[Mask]) -> Batchwise:
    """The same pictures with other masks."""
    return replace(part, targets=masks_of(masks, part.classes))


def with_logits(fitted: Fitted, model: bytes, part: Batchwise) -> Batchwise:
    """What a head's graph gives for the maps of a split, in its outputs' place."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    found = session.run(names, {value.name: np.asarray(part.outputs[value.name]) for value in session.get_inputs()})
    return replace(part, outputs=dict(zip(names, found, strict=True)))
