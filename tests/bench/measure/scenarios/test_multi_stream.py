from __future__ import annotations

import numpy as np
import pytest
from fake_clock import Scripted
from fakes import MeanColour, PillowPath, photograph, plan

from bench.measure.queries import Queries
from bench.measure.scenarios.base import Settings, Setup
from bench.measure.scenarios.multi_stream import MultiStream, parts
from engines.base import Outputs, Pixels


class Slow(MeanColour):
    """Takes 5 ms an image."""

    def __init__(self, clock: Scripted) -> None:
        super().__init__(plan())
        self.clock = clock

    def _run(self, pixels: Pixels) -> Outputs:
        self.clock.pass_by(5_000_000 * len(pixels))
        return super()._run(pixels)


@pytest.mark.parametrize(
    ("bundle", "batches", "wanted"),
    [(8, (1, 8), [8]), (6, (1, 4), [4, 1, 1]), (9, (1, 2, 4), [4, 4, 1]), (3, (1, 8), [1, 1, 1]), (1, (1,), [1])],
)
def test_a_bundle_fills_the_largest_batches(bundle: int, batches: tuple[int, ...], wanted: list[int]) -> None:
    assert parts(bundle, batches) == wanted


def test_a_query_is_the_whole_bundle() -> None:
    path, encoded = PillowPath(), [photograph(i) for i in range(5)]
    clock, settings = Scripted(), Settings(1.0, bundle=6)
    session = Slow(clock)
    rotation = Queries(np.stack([path(e) for e in encoded]), encoded)
    run = MultiStream().run(Setup(session, rotation, settings, PillowPath(), clock.now))
    assert set(run["bundle"].samples) == {30_000_000}
    assert session.seen[:6] == [4, 1, 1, 4, 1, 1]
    metrics = MultiStream().metrics([run], settings)
    assert (metrics[0].name, metrics[0].value) == ("multi_stream_p50_ms", 30)
    assert MultiStream().asks(settings) == {"bundle": 6}
