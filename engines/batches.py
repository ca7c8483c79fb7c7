"""Any number of images through a session, in batches that its plan was built for."""

from __future__ import annotations

import numpy as np

from engines.base import Outputs, Pixels, Session
from export.errors import CellError


def run_all(session: Session, pixels: Pixels) -> Outputs:
    """Every output for ``pixels`` uint8 [n, height, width, 3], n ≥ 1: float32 [n, …] by name; a map of classes is of
    whole numbers.

    The largest batch size of the plan that is not above n is taken, or the smallest; the last batch is padded, and the
    padding's rows are thrown away. Rows are copied when a run returns: what is not computed by then is not there.

    Raises:
        CellError: a session gives something else than arrays on the host.
    """
    sizes = session.plan.profile.batches
    size = max((b for b in sizes if b <= len(pixels)), default=sizes[0])
    found: dict[str, list[np.ndarray]] = {o.name: [] for o in session.outputs}
    for start in range(0, len(pixels), size):
        part = pixels[start : start + size]
        padded = np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)])
        for name, rows in session.run(padded).items():
            if not isinstance(rows, np.ndarray):
                raise CellError(
                    f"The session leaves {name} as {type(rows).__name__}.",
                    "Its copy to the host would be charged to nobody: an answer is an array on the host.",
                )
            found[name].append(rows[: len(part)].copy())
    return {name: np.concatenate(rows) for name, rows in found.items()}
