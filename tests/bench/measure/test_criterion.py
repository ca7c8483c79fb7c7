from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, cycle, repeat
from statistics import mean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure.criterion import Noise, Stop, Stopped, WarmUp
from export.errors import UserError

samples = st.lists(st.integers(1, 10**9), max_size=60)


def test_warm_up_waits_for_two_whole_windows() -> None:
    assert not WarmUp(window=4).settled([100] * 7)
    assert WarmUp(window=4).settled([100] * 8)


def test_warm_up_does_not_settle_on_a_falling_series() -> None:
    falling = [1000 - 50 * i for i in range(16)]
    assert not WarmUp(window=8).settled(falling)


def test_one_outlier_does_not_unsettle() -> None:
    assert WarmUp(window=8).settled([100] * 11 + [5000] + [100] * 4)


@given(samples, st.floats(0.01, 10))
def test_warm_up_always_ends(series: list[int], seconds: float) -> None:
    warm = WarmUp(seconds=seconds)
    elapsed = 0
    for n in range(len(series)):
        if warm.settled(series[:n]) or warm.spent(elapsed):
            return
        elapsed += series[n]
    assert warm.spent(round(seconds * 1e9) + 1)


def run(stop: Stop, series: Iterable[int]) -> tuple[Stopped, Noise, int]:
    """What ended the series, what was seen of it, and the nanoseconds that it took."""
    noise, elapsed = Noise(), 0
    for sample in series:
        elapsed += sample
        noise.add(sample)
        stopped = stop.stopped(noise, elapsed)
        if stopped:
            return stopped, noise, elapsed
    raise AssertionError("it went on")


streams = st.lists(st.integers(1, 10**9), min_size=1, max_size=60)


@given(streams, st.floats(0.01, 5), st.integers(1, 200), st.floats(1, 4))
def test_stop_always_ends_by_its_limit_and_not_before_its_time(
    series: list[int], seconds: float, least: int, factor: float
) -> None:
    stop = Stop(seconds, least, seconds * factor)
    stopped, seen, elapsed = run(stop, chain(series, repeat(10**8)))
    assert elapsed >= seconds * 1e9
    assert elapsed - max(*series, 10**8) < stop.limit * 1e9, "no sample was begun after the limit"
    assert (stopped.noise is None) == (seen.count < 2)
    if not stopped.timeout:
        assert seen.count >= least
        assert (stopped.noise or 0) <= stop.noise or seen.movement <= stop.movement
    else:
        assert elapsed >= stop.limit * 1e9
        assert stopped.reason.startswith("timeout: ")


@given(streams)
def test_the_noise_is_the_relative_standard_deviation(series: list[int]) -> None:
    noise = Noise()
    for sample in series:
        noise.add(sample)
    if len(series) < 2:
        assert noise.value is None
    else:
        assert noise.value == pytest.approx(stdev(series) / mean(series), rel=1e-6, abs=1e-9)


def test_stop_wants_time_and_samples() -> None:
    assert run(Stop(1.0, 64, 4.0), repeat(10**6))[2] == 10**9
    assert run(Stop(1.0, 64, 4.0), repeat(2 * 10**7))[1].count == 64


def test_a_noise_that_settled_above_the_bound_ends_the_series() -> None:
    """Alternating by ±10 %: more samples would tell nothing new."""
    stopped, _, elapsed = run(Stop(1.0, 64, 4.0), cycle([9_000_000, 11_000_000]))
    assert elapsed < 1.05e9
    assert stopped.reason == "noise 10.1 %, no longer moving (0.2 %)"
    assert stopped.noise == pytest.approx(0.1, rel=0.02)


def test_a_noise_that_is_still_falling_is_waited_for() -> None:
    """A slow beginning: the noise falls as more quick samples follow, until it is under the bound."""
    stop = Stop(0.5, 8, 100.0, noise=0.2, movement=0.0)
    slow = repeat(40_000_000, 10)
    stopped, seen, elapsed = run(stop, chain(slow, repeat(20_000_000)))
    assert elapsed > 1e9
    assert stopped.noise == pytest.approx(0.2, rel=0.02)
    assert seen.count > 50


def test_a_rare_slow_sample_does_not_keep_a_quiet_series() -> None:
    quiet = [5_000_000 + 50_000 * (i % 3) for i in range(700)]
    quiet[100] = 12_000_000
    _, _, elapsed = run(Stop(2.0, 64, 8.0), chain(quiet, repeat(5_000_000)))
    assert elapsed < 1.1 * 2e9


@pytest.mark.parametrize(
    ("series", "reason"),
    [
        (repeat(10**9), "timeout: 4 of 64 samples"),
        (repeat(10**10), "timeout: 1 of 64 samples"),
    ],
)
def test_a_timeout_says_by_which_number_it_failed(series: Iterable[int], reason: str) -> None:
    stopped, _, _ = run(Stop(1.0, 64, 4.0), series)
    assert stopped.timeout
    assert stopped.reason == reason


def test_a_timeout_of_few_samples_says_so() -> None:
    stopped, _, _ = run(Stop(1.0, 2, 4.0), (10**9 * (1 + i) for i in range(9)))
    assert stopped.reason == "timeout: noise 50.0 % > 0.5 % after 3 samples, too few to see it settle"


def test_kept_values_are_few_and_span_the_series() -> None:
    """What happened in the first half of a long series moves nothing any more."""
    noise = Noise()
    for i in range(100_000):
        noise.add(1_000_000 if i % 2 else 1_200_000)
    assert noise.movement < 0.001
    noise = Noise()
    for i in range(100_000):
        noise.add(1_000_000 if i < 60_000 else 1_500_000)
    assert noise.movement > 0.3


def test_stop_refuses_no_time() -> None:
    with pytest.raises(UserError, match="0 < seconds"):
        Stop(0, 1, 1)
