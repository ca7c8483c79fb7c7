"""What was sampled of the machine at moments of one clock, and what follows for the time between two of them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from bench.measure.load import Load
from bench.measure.throttling import State, reasons
from bench.records.parts import GpuMonitoring, Monitoring
from engines.cuda.nvml import Reading

FOREIGN_SHARE = 0.05
"""A series during which other processes took more than this share of its cores is disturbed; so is one during which
the hypervisor did."""
HELD_SHARE = 0.01
"""A series whose container was stopped by its quota for more than this share of the time is throttled."""
SPAN_NS = 1_000_000_000
"""Systems count work in ticks of 10 ms or 4 ms: over less than a second they cannot resolve such a share."""


@dataclass(frozen=True)
class Moment:
    """The machine at one moment.

    Attributes:
        at_ns: on the clock of the series (:data:`bench.measure.clock.CLOCK`).
        load: of the cores that the measured process may use. own: CPU seconds of it and of its watcher within that.
        held: seconds that a container's quota stopped it, on each core that the quota is worth.
        clock_mhz: mean of the cores; 0 where unknown.
    """

    at_ns: int
    load: Load
    own: float
    state: State = field(default_factory=State)
    held: float = 0.0
    clock_mhz: float = 0.0
    temperatures: tuple[float, ...] = ()
    gpu: Reading | None = None


def around(moments: Sequence[Moment], begin_ns: int, end_ns: int) -> tuple[int, int]:
    """The places of the last moment at or before ``begin_ns`` and of the first at or after ``end_ns``.

    They are moved apart, to earlier ones first, where they are less than :data:`SPAN_NS` apart.
    """
    times = [moment.at_ns for moment in moments]
    first = max(bisect_right(times, begin_ns) - 1, 0)
    last = min(bisect_left(times, end_ns), len(times) - 1)
    while times[last] - times[first] < SPAN_NS and (first > 0 or last < len(times) - 1):
        first, last = (first - 1, last) if first else (first, last + 1)
    return first, last


def monitoring(
    moments: Sequence[Moment], cores: int, begin_ns: int, end_ns: int, own: Collection[int] = ()
) -> Monitoring:
    """The machine between two moments.

    Args:
        moments: in order of time; the first from before the measured process began to work.
        cores: how many it may use. own: its number and its watcher's, for whoever lists processes.
    """
    if not moments:
        return Monitoring()
    first, last = around(moments, begin_ns, end_ns)
    before, after, between = moments[first], moments[last], moments[first : last + 1]
    span = (after.at_ns - before.at_ns) / 1e9

    def share(seconds: float, of: int = cores) -> float:
        return min(1.0, max(0.0, seconds / (span * of))) if span else 0.0

    foreign = share(after.load.busy - before.load.busy - (after.own - before.own))
    stolen, held = share(after.load.stolen - before.load.stolen), share(after.held - before.held, of=1)
    why = reasons([moment.state for moment in moments], first, last)
    gpu = gpu_summary(
        [m.gpu for m in moments[: last + 1] if m.gpu], sum(m.gpu is not None for m in moments[:first]), own
    )
    clocks = [moment.clock_mhz for moment in between if moment.clock_mhz]
    temperatures = [celsius for moment in between for celsius in moment.temperatures]
    if held > HELD_SHARE:
        why += (f"the container's CPU quota, {held:.0%} of the time",)
    if gpu and gpu.throttled:
        why += ("GPU",)
    return Monitoring(
        foreign_share=round(foreign, 3),
        disturbed=foreign > FOREIGN_SHARE,
        stolen_share=round(stolen, 3),
        stolen=stolen > FOREIGN_SHARE,
        throttled=bool(why),
        throttling=why,
        clock_mhz=(round(min(clocks)), round(max(clocks))) if clocks else None,
        temperature_c=(min(temperatures), max(temperatures)) if temperatures else None,
        gpu=gpu,
    )


def gpu_summary(readings: Sequence[Reading], first: int = 0, own: Collection[int] = ()) -> GpuMonitoring | None:
    """The GPU from the reading ``first`` on; None without any.

    Args:
        readings: in order of time, the very first from before the measured process reached the device. Memory is what
            came on top of it, from the beginning.
        own: the numbers of the processes that are none of the others'. Where the measured one is not among those that
            are seen, it is in a container: one of those that came later is it, and one from before may be its watcher.
    """
    between = readings[first:]
    if not between:
        return None
    clocks = [r.clock_mhz for r in between if r.clock_mhz is not None]
    temperatures = [r.temperature_c for r in between if r.temperature_c is not None]
    return GpuMonitoring(
        memory_bytes=max(r.memory_used_bytes for r in readings) - readings[0].memory_used_bytes,
        clock_mhz=(min(clocks), max(clocks)) if clocks else None,
        temperature_c=(min(temperatures), max(temperatures)) if temperatures else None,
        throttled=any(r.throttled for r in between),
        power_capped=any(r.power_capped for r in between),
        others=max(_others(readings[0].processes, r.processes, frozenset(own)) for r in between),
    )


def _others(before: frozenset[int], now: frozenset[int], own: frozenset[int]) -> int:
    new = now - before
    if new and not new & own:  # nobody has the number here that it has there
        return max(len(new) - 1, 0) + max(len(now & before) - 1, 0)
    return len(now - own)
