"""Parity: how close an artifact's or an engine's outputs are to eager fp32 PyTorch, and whether that is close enough.

Arrays in, plain values out. *Accuracy* is another thing, and belongs to tasks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from export.spec import Precision

TOLERANCE: dict[Precision, tuple[float, float]] = {
    Precision.FP32: (0.99999, 2e-3),
    Precision.FP16: (0.9995, 5e-2),
    Precision.BF16: (0.99, 2e-1),
    Precision.INT8: (0.98, 3e-1),
    Precision.FP8: (0.98, 3e-1),
}
"""Precision → (least cosine of any image, largest relative error). bf16 keeps 8 bits of a number, fp16 keeps 11."""


@dataclass(frozen=True)
class Parity:
    """Closeness of one output, the worst where several were compared. All values are finite.

    Attributes:
        output: name of the worst output.
        cosine_min: least cosine of any image; 0 where either side is all zeros.
        cosine_mean: mean cosine over the images.
        relative_error: max |found − wanted| / max |wanted|, over all images.
        nonfinite: number of NaN and Inf values, of both sides; such values are compared as zeros.
        images: number of images.
        cosine_bound: least ``cosine_min`` that passes in this precision.
        error_bound: largest ``relative_error`` that passes in this precision.
        passed: within both bounds, and no value is NaN or Inf.
    """

    output: str
    cosine_min: float
    cosine_mean: float
    relative_error: float
    nonfinite: int
    images: int
    cosine_bound: float
    error_bound: float
    passed: bool


def compare(
    found: npt.NDArray[np.float32], wanted: npt.NDArray[np.float32], precision: Precision, output: str = "features"
) -> Parity:
    """Compare the arrays [n, …] of one output, image by image, within the bounds of ``precision``.

    Raises:
        ValueError: the shapes differ, or there is no image.
    """
    if found.shape != wanted.shape:
        raise ValueError(f"{output} of shape {found.shape} cannot be compared with {wanted.shape}")
    if not len(wanted):
        raise ValueError(f"{output} holds no image to compare")
    least, largest = TOLERANCE[precision]
    nonfinite, cosines, gap, size = 0, [], 0.0, 1e-30
    for pair in zip(found, wanted, strict=True):  # one by one: maps of many images are large
        finite = [np.isfinite(side) for side in pair]
        nonfinite += sum(int((~mask).sum()) for mask in finite)
        a, b = (np.where(m, side, 0).ravel().astype(np.float64) for m, side in zip(finite, pair, strict=True))
        cosines.append(cosine(a, b))
        gap = max(gap, float(np.abs(a - b).max(initial=0)))
        size = max(size, float(np.abs(b).max(initial=0)))
    closest, error = min(cosines), gap / size
    return Parity(
        output=output,
        cosine_min=closest,
        cosine_mean=sum(cosines) / len(cosines),
        relative_error=error,
        nonfinite=nonfinite,
        images=len(cosines),
        cosine_bound=least,
        error_bound=largest,
        passed=not nonfinite and closest >= least and error <= largest,
    )


def cosine(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    """Of two vectors [n]; 0 where either is all zeros."""
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norms if norms else 0.0


def compare_outputs(
    found: Mapping[str, npt.NDArray[np.float32]], wanted: Mapping[str, npt.NDArray[np.float32]], precision: Precision
) -> Parity:
    """Compare every output by name, each [n, …]; the worst of them.

    Raises:
        ValueError: an output is missing on one side, or has another shape.
    """
    if found.keys() != wanted.keys() or not wanted:
        raise ValueError(f"outputs {sorted(found)} cannot be compared with {sorted(wanted)}")
    return worst(compare(found[name], wanted[name], precision, name) for name in wanted)


def worst(results: Iterable[Parity]) -> Parity:
    """One that failed before any that passed; then the least cosine, then the largest error."""
    return min(results, key=lambda r: (r.passed, r.cosine_min, -r.relative_error))
