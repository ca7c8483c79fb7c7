"""Whether a session computes its answers: images that it has not seen take no longer than those that it has.

A timing rotates through its images many times, so that a session which remembers what it answered would be timed while
it looks things up. The idea is that of MLPerf's compliance test TEST04.
"""

from __future__ import annotations

from statistics import median

import numpy as np

from bench.measure.clock import CLOCK, Clock
from bench.measure.queries import Queries
from engines.base import Pixels, Session
from export.errors import CellError

COUNT = 5
"""Images of either kind. The quickest unseen one counts, so that a busy machine accuses nobody."""
ROUNDS = 3
"""All of them have to agree, each on other images."""
FACTOR = 2.0


def require_computed(session: Session, images: Queries, clock: Clock = CLOCK) -> None:
    """Refuse a session that remembers, once its scenarios have run.

    Args:
        images: those that it was timed with. The unseen ones are their negatives, shifted.

    Raises:
        CellError: what it has not seen takes more than twice as long.
    """

    def took(pixels: Pixels) -> int:
        begin = clock()
        session.run(pixels)
        return clock() - begin

    ratio = 0.0
    for number in range(ROUNDS):
        known, unseen = [], []
        for image in images.batches(1)[:COUNT]:
            other = np.roll(255 - image, number + 1, axis=2)
            known.append(took(image))
            unseen.append(took(other))
        ratio = min(unseen) / max(median(known), 1)
        if ratio <= FACTOR:
            return
    raise CellError(
        "The session remembers its answers.",
        f"Images that it had not seen take {ratio:.1f} times as long.",
        "switch off what caches answers: it is no faster on new images",
    )
