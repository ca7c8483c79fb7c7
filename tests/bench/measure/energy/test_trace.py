"""Counters and powers over time: known joules come out again."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure.energy.sensor import Zone
from bench.measure.energy.trace import Trace, Uncounted

NS = 10**9
Joules = Callable[[float], float]


def waving(t: float) -> float:
    """Joules until ``t`` s of a load of 40 W that waves by 20 W every 7 s."""
    return 40 * t - 20 * 7 / (2 * math.pi) * (math.cos(2 * math.pi * t / 7) - 1)


def counter(joules: Joules, seconds: float, every: float = 0.04, step: float = 61e-6, wraps: float = 0.0) -> Trace:
    """A counter in steps, read at times that are not quite even."""
    times = [every * (i + 0.2 * math.sin(i)) for i in range(int(seconds / every))]
    counts = [math.floor(joules(t) / step) * step for t in times]
    read = [(count % wraps if wraps else count,) for count in counts]
    return Trace.of([round(t * NS) for t in times], read, (Zone("package", wraps),), ("package",), True)


@pytest.mark.parametrize("wraps", [0.0, 97.0], ids=["straight", "wrapping eight times"])
@given(begin=st.floats(1, 5), length=st.floats(10, 20))
def test_a_counter_of_known_joules_is_reproduced_within_a_thousandth(wraps: float, begin: float, length: float) -> None:
    trace, end = counter(waving, 28, wraps=wraps), begin + length
    found = trace.window(round(begin * NS), round(end * NS))
    assert found.joules["package"] == pytest.approx(waving(end) - waving(begin), rel=1e-3)
    assert found.steps > 200


@given(begin=st.floats(1, 5), length=st.floats(10, 20))
def test_watts_are_integrated_over_their_own_times(begin: float, length: float) -> None:
    times = [0.04 * i + 0.01 * math.sin(i) for i in range(700)]
    watts = [(40 + 20 * math.sin(2 * math.pi * t / 7),) for t in times]
    trace = Trace.of([round(t * NS) for t in times], watts, (Zone("VDD_IN"),), ("VDD_IN",), False)
    end = begin + length
    found = trace.window(round(begin * NS), round(end * NS))
    assert found.joules["VDD_IN"] == pytest.approx(waving(end) - waving(begin), rel=1e-3)


def test_a_coarse_counter_is_told_in_few_steps() -> None:
    found = counter(lambda t: 10 * t, 60, step=5.0).window(10 * NS, 50 * NS)
    assert found.steps == 80
    assert found.joules["package"] == pytest.approx(400, abs=1)


def test_a_slow_counter_is_as_exact_as_its_readings_and_not_its_steps() -> None:
    """One that moves every 0.5 s, read every 0.04 s: at each end less than one reading's time is uncertain."""
    found = counter(lambda t: 100 * (t // 0.5 * 0.5), 30).window(round(5.3 * NS), round(20.9 * NS))
    assert found.joules["package"] == pytest.approx(100 * 15.6, abs=2 * 100 * 0.04)
    assert found.steps == pytest.approx(31, abs=1)


def test_several_zones_of_a_domain_are_added_and_others_are_beside_them() -> None:
    zones = (Zone("package"), Zone("dram"), Zone("package"), Zone("psys"))
    read = [(1.0 * t, 0.1 * t, 2.0 * t, 5.0 * t) for t in range(20)]
    trace = Trace.of([t * NS for t in range(20)], read, zones, ("package", "dram"), True)
    assert trace.window(5 * NS, 15 * NS).joules == pytest.approx({"package": 30.0, "dram": 1.0, "psys": 50.0})
    assert trace.watts(5 * NS, 15 * NS) == pytest.approx(3.1)


@pytest.mark.parametrize(
    ("trace", "why"),
    [
        (Trace.of([], [], (Zone("a"),), ("a",), True), "gave no reading"),
        (Trace.of([0, NS], [(0.0,), (1.0,)], (Zone("a"),), ("a",), True), "gave no reading"),
        (Trace.of([t * NS for t in range(30)], [(5.0,)] * 30, (Zone("a"),), ("a",), True), "gave no reading"),
        (counter(lambda t: 10 * t if t < 12 else 10 * (t - 12), 30), "the counter went back"),
        (counter(lambda t: 10 * t if t < 12 else 10 * (t - 12), 30, wraps=5.0), ""),
        (
            Trace.of(
                [t * NS // 10 for t in range(300) if not 100 < t < 130], [(9.0,)] * 271, (Zone("a"),), ("a",), False
            ),
            "said nothing for 3.0 s of its 15.0 s",
        ),
    ],
    ids=["never read", "too short", "stands still", "reset", "wraps", "a pause"],
)
def test_a_window_that_was_not_counted_says_why(trace: Trace, why: str) -> None:
    if not why:
        trace.window(5 * NS, 20 * NS)
        return
    with pytest.raises(Uncounted, match=why):
        trace.window(5 * NS, 20 * NS)
    assert ("said nothing" in why) == (trace.watts(5 * NS, 20 * NS) is not None)
