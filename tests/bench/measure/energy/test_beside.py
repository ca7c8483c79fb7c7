"""Sensors beside a child: windows cut out of what they said, idle power before and after, and reasons."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bench.measure.clock import CLOCK, Series
from bench.measure.criterion import Stopped
from bench.measure.energy import beside as module
from bench.measure.energy.beside import Beside, Heard, windows
from bench.measure.energy.here import Here
from bench.measure.energy.meter import Meter
from bench.measure.energy.sensor import WHOLE, Missing, Part, Sensor, Zone
from bench.measure.energy.trace import Trace

NS = 10**9
CPU: frozenset[Part] = frozenset(("processor",))


def series(begin: float, end: float, samples: int = 100) -> Series:
    stopped = Stopped(False, "time", None)
    return Series(1, [], [1] * samples, True, round(begin * NS), round(end * NS), stopped)


def counter(every: float = 0.04, domain: str = "package") -> Trace:
    """4 W until 10 s, then 20 W until 30 s, then 6 W."""

    def joules(t: float) -> float:
        return 4 * min(t, 10) + 20 * min(max(t - 10, 0), 20) + 6 * max(t - 30, 0)

    times = [every * i for i in range(int(40 / every))]
    read = [(joules(t),) for t in times]
    return Trace.of([round(t * NS) for t in times], read, (Zone(domain),), (domain,), True)


HEARD = Heard((("RAPL", counter()),), (2 * NS, 4 * NS), (32 * NS, 34 * NS))


def test_a_series_takes_what_was_counted_in_its_window() -> None:
    energy = windows(HEARD, {"latency": series(12, 28)}, {"latency": 8})
    assert (energy.domain, energy.sensor) == ("package", "RAPL")
    (found,) = energy.windows
    assert (found.series, found.images, found.why) == ("latency", 800, "")
    assert found.joules == pytest.approx(20 * 16, rel=1e-3)
    assert found.idle_before_w == pytest.approx(4, rel=1e-3)
    assert found.idle_after_w == pytest.approx(6, rel=1e-3)
    assert found.mj_per_image == pytest.approx(1e3 * (20 - 5) * 16 / 800, rel=1e-3)


def test_two_sensors_of_two_parts_are_added() -> None:
    both = replace(HEARD, traces=(*HEARD.traces, ("NVML", counter(0.05, "GPU board"))))
    energy = windows(both, {"latency": series(12, 28)}, {"latency": 1})
    assert (energy.domain, energy.sensor) == ("package + GPU board", "RAPL + NVML")
    assert energy.windows[0].joules == pytest.approx(2 * 20 * 16, rel=1e-3)
    assert energy.windows[0].idle_before_w == pytest.approx(8, rel=1e-3)


@pytest.mark.parametrize(
    ("heard", "at", "why"),
    [
        (HEARD, (12, 21.9), "9.9 s of the 10 s needed"),
        (replace(HEARD, traces=(("RAPL", counter(0.1)),)), (12, 27), "15. of the 200 counter steps needed"),
        (HEARD, (12, 45), "gave no reading"),
        (replace(HEARD, after=(39 * NS, 45 * NS)), (12, 28), "the idle power is not known"),
    ],
    ids=["short", "few steps", "ended early", "no idle"],
)
def test_a_window_that_does_not_count_says_why(heard: Heard, at: tuple[float, float], why: str) -> None:
    (found,) = windows(heard, {"latency": series(*at)}, {"latency": 1}).windows
    assert re.search(why, found.why)


class Steady(Sensor):
    """50 W, as time passes."""

    name, counter, covers = "steady", True, WHOLE
    every_s = 0.002
    zones, counted = (Zone("wall"),), ("wall",)

    def read(self) -> tuple[float, ...]:
        return (CLOCK() / NS * 50,)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_SECONDS", 0.1)
    monkeypatch.setattr(module, "LEAST_STEPS", 5)


def test_it_reads_from_before_the_child_until_after_it(short: None) -> None:
    beside = Beside(Here((Steady(),)), idle_s=0.1, settle_s=0.15)
    with beside:
        begin = CLOCK()
        time.sleep(0.3)
        end = CLOCK()
    (found,) = beside.energy({"latency": series(begin / NS, end / NS)}, {"latency": 1}, CPU).windows
    assert found.why == ""
    assert found.joules == pytest.approx(50 * (end - begin) / NS, rel=1e-2)
    assert found.idle_w == pytest.approx(50, rel=1e-2)


def test_a_child_that_dies_is_not_waited_for() -> None:
    beside = Beside(Here((Steady(),)), idle_s=0.01, settle_s=0.0)
    with pytest.raises(KeyError), beside:
        raise KeyError
    energy = beside.energy({}, {}, CPU)
    assert (energy.domain, energy.reason) == ("", "The sensors were not read to the end.")


def test_a_meters_file_is_taken_instead_of_the_sensors(tmp_path: Path, short: None) -> None:
    file = tmp_path / "meter.csv"
    now = time.time()
    rows = [f"{now - 5 + i / 100:.3f},{30 + i / 1000}" for i in range(1500)]
    file.write_text("\n".join(["time,watts", *rows, ""]))
    beside = Beside(Here((Steady(),)), Meter(file), idle_s=0.05, settle_s=0.01)
    with beside:
        begin = CLOCK()
        time.sleep(0.2)
        end = CLOCK()
    energy = beside.energy({"latency": series(begin / NS, end / NS)}, {"latency": 1}, WHOLE)
    assert (energy.domain, energy.sensor) == ("wall", "wall meter")
    assert energy.windows[0].why == ""
    assert energy.windows[0].joules == pytest.approx(30.5 * (end - begin) / NS, rel=0.01)


def test_a_bad_row_that_comes_later_costs_the_energy_and_not_the_timing(tmp_path: Path) -> None:
    file = tmp_path / "meter.csv"
    file.write_text("time,watts\n")
    beside = Beside(Here(()), Meter(file), idle_s=0.01, settle_s=0.0)
    with beside:
        file.write_text("time,watts\n1764381600,ten\n")
    energy = beside.energy({"latency": series(0, 1)}, {"latency": 1}, CPU)
    assert "Line 2" in energy.reason
    assert energy.windows == ()


def test_short_series_are_not_read_and_no_idle_power_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "meter.csv"
    file.write_text("time,watts\n")
    beside = Beside.of(4.0, str(file))
    with beside:
        pass
    assert beside.said(3) == ("no energy: Energy needs series of 10 s; these are of 4 s. Try: --seconds 10 --repeats 5")
    energy = beside.energy({}, {}, CPU)
    assert (energy.reason, energy.remedy) == (
        "Energy needs series of 10 s; these are of 4 s.",
        "--seconds 10 --repeats 5",
    )


def test_what_is_read_is_said_once() -> None:
    beside = Beside(Here((Steady(),)))
    assert beside.said(5) == "energy: wall (steady); idle power takes 6 s more of each repeat"
    assert beside.said(3).endswith("; an interval needs --repeats 5")
    none = Beside(Here(()), why_not=Missing("RAPL", "Only root may read it.", "chmod"))
    assert none.said(3) == "no energy: Only root may read it. Try: chmod"
