"""What follows from samples: made-up moments, two seconds of a machine with two cores at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.measure.load import Load
from bench.measure.moments import Moment, around, gpu_summary, monitoring
from bench.measure.throttling import State
from bench.records.parts import GpuMonitoring, Monitoring
from engines.cuda.nvml import Reading

CORES, HALF = 2, 500_000_000


def moments(busy: list[float], own: list[float] | None = None) -> list[Moment]:
    """One every half second; CPU seconds of both cores in each, and of the measured process within."""
    found = [Moment(0, Load(100.0), 3.0)]
    for place, work in enumerate(busy):
        before = found[-1]
        mine = before.own + (own[place] if own else 0.0)
        found.append(Moment(before.at_ns + HALF, Load(before.load.busy + work), mine))
    return found


def seen(found: list[Moment], begin: float, end: float) -> Monitoring:
    return monitoring(found, CORES, round(begin * 1e9), round(end * 1e9))


@pytest.mark.parametrize(
    ("begin", "end", "places"),
    [
        (1.0, 2.5, (2, 5)),
        (1.1, 2.4, (2, 5)),
        (0.9, 2.6, (1, 6)),
        (1.6, 1.7, (2, 4)),  # shorter than a sample: it takes those around it, and more before it
        (0.1, 0.2, (0, 2)),  # there are none before
        (2.9, 9.0, (4, 6)),  # the child ended before another sample was taken
        (0.0, 3.0, (0, 6)),
    ],
)
def test_a_window_takes_the_samples_around_it(begin: float, end: float, places: tuple[int, int]) -> None:
    assert around(moments([0.0] * 6), round(begin * 1e9), round(end * 1e9)) == places


def test_one_moment_says_nothing_and_none_neither() -> None:
    assert seen(moments([]), 0, 1).foreign_share == 0.0
    assert monitoring([], 2, 0, 1) == Monitoring()


def test_a_neighbour_is_seen_in_the_series_that_it_disturbed_and_in_no_other() -> None:
    # one core's work is our own; a neighbour takes the other one between 2 s and 4 s
    found = moments([0.5] * 4 + [1.0] * 4 + [0.5] * 4, own=[0.5] * 12)
    before, during, after = seen(found, 0, 2), seen(found, 2, 4), seen(found, 4, 6)
    assert (before.foreign_share, before.disturbed) == (after.foreign_share, after.disturbed) == (0.0, False)
    assert (during.foreign_share, during.disturbed) == (0.5, True)
    assert seen(found, 0, 6).foreign_share == pytest.approx(1 / 6, abs=1e-3), "the mean, not what is most common"
    assert seen(found, 0, 6).trouble == "other processes took 17% of the cores"


@pytest.mark.parametrize(
    ("share", "disturbed"), [(0.0, False), (0.04, False), (0.06, True), (-0.2, False), (9.0, True)]
)
def test_the_share_is_of_all_cores_and_has_a_bound(share: float, disturbed: bool) -> None:
    found = seen(moments([share * CORES * 0.5] * 4), 0, 2)
    assert found.disturbed is found.doubtful is disturbed
    assert found.foreign_share == pytest.approx(min(max(share, 0.0), 1.0))


def test_stolen_time_is_a_disturbance_of_its_own() -> None:
    found = moments([0.5] * 4, own=[0.5] * 4)
    found[-1] = replace(found[-1], load=replace(found[-1].load, stolen=0.4))
    during = seen(found, 0, 2)
    assert (during.stolen_share, during.stolen, during.disturbed, during.doubtful) == (0.1, True, False, True)
    assert during.trouble == "the hypervisor took 10% of the cores"
    assert not seen(found, 0, 1.5).stolen


def test_a_container_that_its_quota_stops_is_throttled() -> None:
    found = moments([0.5] * 8, own=[0.5] * 8)
    found = [replace(one, held=0.25 * max(place - 4, 0)) for place, one in enumerate(found)]
    assert not seen(found, 0, 2).throttled
    held = seen(found, 2, 4)
    assert held.throttled
    assert held.trouble == "throttled (the container's CPU quota, 50% of the time)"
    hardly = [replace(one, held=0.001 * place) for place, one in enumerate(found)]
    assert not seen(hardly, 0, 4).throttled, "a watcher's own millisecond"


def test_clocks_temperatures_and_throttling_are_those_of_the_window() -> None:
    found = moments([0.0] * 8)
    for place, mhz in enumerate((800, 2400, 2400, 2400, 2400, 1500, 1500, 1500, 1500)):
        hot = State(events=max(place - 4, 0))
        found[place] = replace(found[place], clock_mhz=mhz, temperatures=(40.0 + place, 30.0), state=hot)
    first, second = seen(found, 0.5, 2), seen(found, 2, 4)
    assert (first.clock_mhz, first.temperature_c, first.throttled) == ((2400, 2400), (30.0, 44.0), False)
    assert (second.clock_mhz, second.temperature_c) == ((1500, 2400), (30.0, 48.0))
    assert second.throttling == ("thermal throttling",)


def test_a_gpu_is_read_for_the_window_and_its_memory_from_the_beginning() -> None:
    found = moments([0.0] * 8)
    cool, hot = Reading(2 << 30, 1800, 40, False, False), Reading(3 << 30, 900, 90, True, True)
    readings = [replace(cool, memory_used_bytes=1 << 30), cool, replace(cool, memory_used_bytes=5 << 30)]
    readings += [cool, cool, hot, hot, hot, hot]
    found = [replace(moment, gpu=reading) for moment, reading in zip(found, readings, strict=True)]
    first, second = seen(found, 0, 2), seen(found, 2.5, 4)
    assert (first.gpu, first.throttled) == (GpuMonitoring(4 << 30, (1800, 1800), (40, 40)), False)
    assert second.gpu == GpuMonitoring(4 << 30, (900, 900), (90, 90), True, True)
    assert second.throttling == ("GPU",)


def test_other_processes_on_the_gpu_are_counted_those_from_before_and_those_that_come() -> None:
    def others(*processes: set[int], own: tuple[int, ...] = (10, 1)) -> int:
        readings = [Reading(0, None, None, False, False, frozenset(seen)) for seen in processes]
        found = gpu_summary(readings, 1, own)
        assert found is not None
        return found.others

    assert others({1}, {1, 10}) == others(set(), {10}) == others(set(), set()) == 0
    assert others({7}, {7, 10}) == others(set(), {10}, {10, 8}, {10}) == others({7}, {7}) == 1
    assert others({7, 1}, {7, 1, 10, 8}) == 2
    # in a container nobody has the number that it has outside: one that came is the measured one, and one from before
    # may be its watcher
    assert others(set(), {4711}) == others({4000}, {4000, 4711}) == 0
    assert others({4000, 4001}, {4000, 4001, 4711}) == others(set(), {4711, 4712}) == 1


def test_a_gpus_memory_is_what_came_on_top() -> None:
    before = Reading(2 << 30, 300, 40, False, False)
    busy = Reading(5 << 30, 1800, 70, False, True)
    hot = Reading(4 << 30, 900, None, True, False)
    assert gpu_summary([]) is None
    assert gpu_summary([before, busy]) == GpuMonitoring(3 << 30, (300, 1800), (40, 70), False, True)
    found = gpu_summary([before, busy, hot])
    assert found is not None
    assert found.throttled
