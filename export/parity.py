"""Parity: how close an artifact's or an engine's outputs are to eager fp32 PyTorch, and whether that is close enough.

Pure arrays in, plain values out. *Accuracy* is another thing, and belongs to tasks.
"""

from __future__ import annotations

from typing import Any

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


def compare(found: npt.NDArray[np.float32], wanted: npt.NDArray[np.float32], precision: Precision) -> dict[str, Any]:
    """Compare [n, …] arrays, image by image.

    Returns:
        ``cosine_min`` and ``cosine_mean`` over the images; ``relative_error`` = max |a − b| / max |b|; ``nonfinite``,
        the number of NaN and Inf values; ``images``; ``cosine_bound`` and ``error_bound``; ``passed``.
    """
    if found.shape != wanted.shape:
        raise ValueError(f"outputs of shape {found.shape} cannot be held against {wanted.shape}")
    least, largest = TOLERANCE[precision]
    nonfinite = int((~np.isfinite(found)).sum())
    a = np.nan_to_num(found.reshape(len(found), -1).astype(np.float64), posinf=0.0, neginf=0.0)
    b = wanted.reshape(len(wanted), -1).astype(np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosine = np.divide((a * b).sum(axis=1), norms, out=np.zeros(len(a)), where=norms > 0)
    error = float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-30))
    passed = not nonfinite and bool(cosine.min() >= least) and error <= largest
    return {
        "cosine_min": float(cosine.min()),
        "cosine_mean": float(cosine.mean()),
        "relative_error": error,
        "nonfinite": nonfinite,
        "images": len(a),
        "cosine_bound": least,
        "error_bound": largest,
        "passed": passed,
    }
