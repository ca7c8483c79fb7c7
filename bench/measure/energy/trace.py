"""What a sensor said over time, as joules since its first reading; and what of it falls into a window.

A counter is unwrapped. Only the readings at which it had moved are kept, and it is taken to rise evenly between two of
them: so the error at each end of a window is less than one step. Watts are integrated by the trapezoid rule over the
readings' own times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.measure.energy.sensor import Zone

Floats = npt.NDArray[np.float64]

LARGEST_GAP = 0.05
"""Watts that nobody read for a larger share of a window are not guessed."""


class Uncounted(Exception):
    """Why a window has no joules, in words."""


@dataclass(frozen=True)
class Window:
    """What fell into a window: joules by domain, and by how many steps the counter, or how many readings, told it."""

    joules: dict[str, float]
    steps: int


@dataclass(frozen=True)
class Trace:
    """A sensor's readings.

    Attributes:
        times: float64 [n], seconds on the monotonic clock, in order.
        joules: float64 [n, z] since the first reading, a column a zone.
        zones, counted: see :class:`~bench.measure.energy.sensor.Sensor`.
        counter: whether the joules were counted, and not integrated.
        broken: why it is of no use; empty where it is.
    """

    times: Floats
    joules: Floats
    zones: tuple[Zone, ...]
    counted: tuple[str, ...]
    counter: bool
    broken: str = ""

    @classmethod
    def of(
        cls,
        times_ns: Sequence[int],
        values: Sequence[Sequence[float]],
        zones: tuple[Zone, ...],
        counted: tuple[str, ...],
        counter: bool,
    ) -> Trace:
        """The trace of readings: joules or watts [n][z], and when each was taken."""
        times = np.array(times_ns, np.int64) / 1e9
        read = np.array(values, np.float64).reshape(len(times), len(zones))
        broken = ""
        if counter:
            rises = np.diff(read, axis=0)
            wraps = np.array([zone.wraps_j for zone in zones])
            back = rises < 0
            if (back & (wraps == 0)).any() or (back & (rises + wraps < 0)).any():
                broken = "the counter went back"
            rises = np.where(back, rises + wraps, rises)
        else:
            rises = (read[1:] + read[:-1]) / 2 * np.diff(times)[:, None]
        joules = np.concatenate([np.zeros((min(1, len(times)), len(zones))), np.cumsum(rises, axis=0)])
        if counter and len(times) > 1:
            own = [i for i, zone in enumerate(zones) if zone.domain in counted]
            moved = np.flatnonzero((np.diff(joules[:, own], axis=0) > 0).any(axis=1)) + 1
            times, joules = times[moved], joules[moved]
        return cls(times, joules, zones, counted, counter, broken)

    def window(self, begin_ns: int, end_ns: int, gap: float = LARGEST_GAP) -> Window:
        """What fell into the time from ``begin_ns`` to ``end_ns``.

        Args:
            gap: the share of it for which a sensor of power may say nothing.

        Raises:
            Uncounted: the sensor said nothing then, or not all the time.
        """
        begin, end = begin_ns / 1e9, end_ns / 1e9
        if self.broken:
            raise Uncounted(self.broken)
        if not len(self.times) or self.times[0] > begin or self.times[-1] < end:
            raise Uncounted("the sensor gave no reading at its beginning or its end")
        inside = np.flatnonzero((self.times > begin) & (self.times <= end))
        if not self.counter:
            first, last = np.searchsorted(self.times, begin, "right") - 1, np.searchsorted(self.times, end)
            silent = float(np.diff(self.times[first : last + 1]).max())
            if silent > gap * (end - begin):
                raise Uncounted(f"the sensor said nothing for {silent:.1f} s of its {end - begin:.1f} s")
        joules: dict[str, float] = {}
        for column, zone in enumerate(self.zones):
            low, high = np.interp((begin, end), self.times, self.joules[:, column])
            joules[zone.domain] = joules.get(zone.domain, 0.0) + float(high - low)
        return Window(joules, len(inside))

    def watts(self, begin_ns: int, end_ns: int) -> float | None:
        """The mean power of what is counted; None where there are no readings. Few of them tell an even power."""
        try:
            found = self.window(begin_ns, end_ns, gap=1.0)
        except Uncounted:
            return None
        return sum(found.joules[domain] for domain in self.counted) / ((end_ns - begin_ns) / 1e9)
