from __future__ import annotations

from itertools import count

import numpy as np
import pytest
from fakes import MeanColour, plan

from bench.measure.audit import require_computed
from bench.measure.queries import Queries
from engines.base import Outputs, Pixels
from export.errors import CellError


def images() -> Queries:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    return Queries(pixels, [b""] * 8)


class Timed(MeanColour):
    """Takes 1 ms for what it is shown for the first time, and as long as is said for what it knows."""

    known_ns = 1_000_000

    def __init__(self) -> None:
        super().__init__(plan((1,)))
        self.now, self.known = 0, set[bytes]()

    def _run(self, pixels: Pixels) -> Outputs:
        self.now += self.known_ns if pixels.tobytes() in self.known else 1_000_000
        self.known.add(pixels.tobytes())
        return super()._run(pixels)


def timed(session: Timed) -> None:
    for image in images().batches(1):
        session.run(image)
    require_computed(session, images(), lambda: session.now)


def test_a_session_that_computes_passes_even_where_one_image_is_slow() -> None:
    class Disturbed(Timed):
        numbers = count()

        def _run(self, pixels: Pixels) -> Outputs:
            self.now += 50_000_000 * (next(self.numbers) % 3 == 0)
            return super()._run(pixels)

    timed(Timed())
    timed(Disturbed())


def test_a_session_that_remembers_is_refused() -> None:
    class Remembers(Timed):
        known_ns = 10_000

    with pytest.raises(CellError, match=r"100\.0 times as long"):
        timed(Remembers())
