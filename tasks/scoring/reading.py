"""Reading wide outputs: each row once, some rows at a time, with progress; what is not finite is refused on the way."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from export.errors import CellError
from export.progress import counting
from tasks.base import Batchwise
from tasks.scoring.features import Floats, Indices

BLOCK = 32 << 20
"""Bytes that are read together, at most."""
ROWS = 256
"""Rows likewise: progress is shown between blocks."""


def read(part: Batchwise, split: str, doing: str) -> Iterator[tuple[Indices, dict[str, Floats]]]:
    """Every output, some rows at a time and each row once: (rows, float32 [rows, c, h, w] by name).

    Args:
        split: as an error is to name it. doing: as the progress is to.

    Raises:
        CellError: an output holds NaN or Inf.
    """
    each = 4 * sum(int(np.prod(rows.shape[1:])) for rows in part.outputs.values())
    step = min(ROWS, max(1, BLOCK // max(1, each)))
    with counting(doing, len(part)) as advance:
        for start in range(0, len(part), step):
            rows = np.arange(start, min(start + step, len(part)))
            outputs = part.at(rows)
            for name, values in outputs.items():
                bad = ~np.isfinite(values.reshape(len(rows), -1).sum(axis=1, dtype=np.float64))
                if bad.any():
                    raise CellError(f"The {name} of row {rows[bad][0]} of the {split} split holds NaN or Inf.")
            yield rows, outputs
            advance(len(rows))
