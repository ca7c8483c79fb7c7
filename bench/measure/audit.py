"""Whether a session computes its answers: images that it has not seen take no longer than those that it has.

A timing rotates through its images many times, so that a session which remembers what it answered would be timed while
it looks things up. The idea is that of MLPerf's compliance test TEST04.
"""

from __future__ import annotations

from statistics import median

from bench.measure.clock import CLOCK, Clock
from bench.measure.queries import Queries
from engines.base import Pixels, Session
from export.errors import CellError

COUNT = 5
"""Images of either kind. The quickest unseen one counts, so that a busy machine accuses nobody."""
FACTOR = 2.0


def require_computed(session: Session, images: Queries, clock: Clock = CLOCK) -> None:
    """Refuse a session that remembers, once its scenarios have run.

    Args:
        images: those that it was timed with. The unseen ones are their negatives.

    Raises:
        CellError: what it has not seen takes more than twice as long.
    """

    def took(pixels: Pixels) -> int:
        begin = clock()
        session.run(pixels)
        return clock() - begin

    known, unseen = [], []
    for image in images.batches(1)[:COUNT]:
        negative = 255 - image
        known.append(took(image))
        unseen.append(took(negative))
    if min(unseen) > FACTOR * median(known):
        raise CellError(
            "The session remembers its answers.",
            f"Images that it had not seen take {min(unseen) / max(median(known), 1):.1f} times as long.",
            "switch off what caches answers: it is no faster on new images",
        )
