from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure.criterion import Stop, WarmUp
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


@given(samples, st.floats(0.01, 5), st.integers(1, 200), st.floats(1, 4))
def test_stop_always_ends_at_its_limit(series: list[int], seconds: float, least: int, factor: float) -> None:
    stop = Stop(seconds, least, seconds * factor)
    assert stop.done(0, round(stop.limit * 1e9) + 1)
    elapsed = 0
    for n, sample in enumerate(series):
        if stop.done(n, elapsed):
            assert elapsed >= stop.limit * 1e9 or (n >= least and elapsed >= seconds * 1e9)
        elapsed += sample


def test_stop_wants_time_and_samples() -> None:
    stop = Stop(1.0, 64, 4.0)
    assert not stop.done(1000, 999_999_999)
    assert not stop.done(63, 2_000_000_000)
    assert stop.done(64, 1_000_000_000)


def test_stop_refuses_no_time() -> None:
    with pytest.raises(UserError, match="0 < seconds"):
        Stop(0, 1, 1)
