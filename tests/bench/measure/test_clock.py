from __future__ import annotations

import gc
import time
from itertools import chain, repeat

import msgspec
import pytest
from fake_clock import Scripted

from bench.measure.clock import CLOCK, Series, measure
from bench.measure.criterion import Stop, WarmUp


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


@pytest.mark.parametrize("settled", [True, False])
def test_what_an_earlier_series_has_warmed_up_is_not_warmed_up_again(settled: bool) -> None:
    durations = repeat([10_000_000] if settled else [10_000_000, 90_000_000], 10_000)
    clock = Scripted(chain.from_iterable(durations))
    warm_up, stop = WarmUp(window=3, seconds=2.0), Stop(1.0, 4, 4.0)
    earlier = measure(clock.query, warm_up, stop, clock.now)
    asked = len(clock.asked)
    again = measure(clock.query, warm_up, stop, clock.now, before=earlier)
    assert earlier.warm_up
    assert again.warm_up == []
    assert earlier.settled == again.settled == settled
    assert clock.asked[asked:] == list(range(len(again.samples) + 1)), "the first query is still kept apart"


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


def test_a_series_says_when_its_steady_state_began_and_ended_and_why() -> None:
    clock = Scripted(chain([500], repeat(100_000_000)))
    seen = measure(clock.query, WarmUp(window=2), Stop(1.0, 8, 4.0), clock.now)
    assert seen.begin_ns == seen.first + sum(seen.warm_up)
    assert seen.end_ns - seen.begin_ns == sum(seen.samples)
    assert not seen.stopped.timeout
    assert seen.stopped.reason == "noise 0.0 % ≤ 0.5 %"


def test_a_noise_that_goes_on_moving_is_measured_to_the_limit() -> None:
    """Each sample is twice the last one."""
    clock = Scripted(chain(repeat(1_000_000, 17), (1_000_000 * 2**i for i in range(60))))
    seen = measure(clock.query, WarmUp(window=8), Stop(1.0, 4, 4.0), clock.now)
    assert seen.stopped.timeout
    assert seen.end_ns - seen.begin_ns >= 4e9
    assert "still moving" in seen.stopped.reason


def test_the_window_is_on_the_clock_that_other_processes_have() -> None:
    before = time.monotonic_ns()
    seen = measure(lambda i: time.sleep(0.001), WarmUp(window=2), Stop(0.01, 2, 0.04))
    assert before < seen.begin_ns < seen.end_ns <= time.monotonic_ns()
    assert CLOCK is time.monotonic_ns


def test_a_series_goes_through_json_as_children_send_it() -> None:
    for step in (10_000_000, 5_000_000_000):
        clock = Scripted(repeat(step))
        seen = measure(clock.query, WarmUp(window=2), Stop(1.0, 4, 4.0), clock.now)
        assert (seen.stopped.noise is None) == (step > 4e9)
        assert msgspec.json.decode(msgspec.json.encode(seen), type=Series) == seen
