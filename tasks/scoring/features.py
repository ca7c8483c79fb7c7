"""What is done with rows of features before they are compared. Knows no task, and no data set."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
GRID = 2.0**25


def on_grid(rows: Floats) -> npt.NDArray[np.float64]:
    """Rows of length at most 1, float32 [n, d], rounded to multiples of 2⁻²⁵, as float64.

    A product of two such values is a multiple of 2⁻⁵⁰, and so is every sum of them, which stays below 8 in magnitude
    (Cauchy-Schwarz, if no row is longer than 2.8): 53 bits hold it. So a matrix product of such rows is exact, in
    independent of the order of additions and of the number of rows at once; in float32 the last bit depends on both.
    """
    return np.asarray(np.rint(rows.astype(np.float64) * GRID) / GRID)


def l2_normalized(features: npt.NDArray[np.floating]) -> Floats:
    """Rows of length 1, float32 [n, d], in memory; a zero row stays zero. No row overflows or underflows on the way."""
    values = np.array(features, np.float32)
    largest = np.abs(values).max(axis=1, keepdims=True, initial=0)
    values /= np.where(largest > 0, largest, 1)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    values /= np.where(lengths > 0, lengths, 1)
    return values
