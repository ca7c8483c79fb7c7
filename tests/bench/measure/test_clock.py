from __future__ import annotations

import gc
from collections.abc import Iterator
from itertools import chain, repeat

import pytest

from bench.measure.clock import measure
from bench.measure.criterion import Stop, WarmUp


class Scripted:
    """A clock that moves only when a query says so."""

    def __init__(self, durations: Iterator[int]) -> None:
        self.time, self.durations, self.asked = 0, durations, list[int]()

    def now(self) -> int:
        return self.time

    def query(self, i: int) -> None:
        self.asked.append(i)
        self.time += next(self.durations)


def test_first_run_and_warm_up_stay_out_of_the_steady_state() -> None:
    cold = [3_000_000_000]
    warming = [50_000_000 - 4_000_000 * i for i in range(10)]
    clock = Scripted(chain(cold, warming, repeat(2_500_000)))
    seen = measure(clock.query, WarmUp(window=4), Stop(1.0, 64, 4.0), clock.now)
    assert seen.first == cold[0]
    assert seen.warm_up[: len(warming)] == warming
    assert set(seen.samples) == {2_500_000}
    assert sum(seen.samples) >= 1_000_000_000
    assert seen.settled


def test_every_sample_is_kept_tail_included() -> None:
    steady = [1_000_000] * 40 + [900_000_000] + [1_000_000] * 300
    clock = Scripted(chain(repeat(1_000_000, 17), steady, repeat(1_000_000)))
    seen = measure(clock.query, WarmUp(window=8), Stop(1.0, 64, 4.0), clock.now)
    assert 900_000_000 in seen.samples
    assert len(seen.warm_up) + len(seen.samples) + 1 == len(clock.asked)


def test_a_series_that_never_settles_is_measured_and_said() -> None:
    clock = Scripted(chain.from_iterable(repeat([10_000_000, 90_000_000], 10_000)))
    seen = measure(clock.query, WarmUp(window=3, seconds=2.0), Stop(1.0, 4, 4.0), clock.now)
    assert not seen.settled
    assert seen.samples


def test_queries_rotate_without_a_gap() -> None:
    clock = Scripted(repeat(100_000_000))
    measure(clock.query, WarmUp(window=2), Stop(1.0, 8, 4.0), clock.now)
    assert clock.asked == list(range(len(clock.asked)))


def test_garbage_collection_is_on_again_after_an_error() -> None:
    def fails_later(i: int) -> None:
        if i > 20:
            raise RuntimeError("the engine died")

    clock = Scripted(repeat(0))

    def query(i: int) -> None:
        clock.query(i)
        fails_later(i)

    with pytest.raises(RuntimeError, match="the engine died"):
        measure(query, WarmUp(window=2), Stop(1.0, 8, 4.0), clock.now)
    assert gc.isenabled()
