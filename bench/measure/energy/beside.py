"""Sensors read beside a measured child process, from a while before it until a while after it, by a thread each.

Nothing is read inside the child. What its series took is cut out afterwards, by their own begin and end.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType

from bench.measure.clock import CLOCK, Series
from bench.measure.energy.costs import LEAST_WINDOWS
from bench.measure.energy.here import Here, chosen, look
from bench.measure.energy.meter import DOMAIN, Meter
from bench.measure.energy.sensor import Missing, Part, Sensor, Silent, Zone
from bench.measure.energy.trace import Trace, Uncounted
from bench.records.energy import Energy, EnergyWindow
from export.errors import UserError
from export.places import expanded

IDLE_SECONDS = 2.0
"""The machine's idle power is taken over so long before the child and after it."""
METER_IDLE_SECONDS = 5.0
"""The same of a wall meter, which is read once a second."""
SETTLE_SECONDS = 0.5
"""What just ended is let go first, and what begins is not waited for."""
LEAST_SECONDS = 10.0
LEAST_STEPS = 200
"""Shorter windows, and those that a counter told in fewer steps (a power sensor in fewer readings), have no energy."""

Span = tuple[int, int]


class Reading:
    """One sensor, read again and again while it is entered."""

    def __init__(self, sensor: Sensor) -> None:
        self.sensor = sensor
        self._times: list[int] = []
        self._values: list[tuple[float, ...]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        self._look()
        self._thread.start()

    def stop(self) -> Trace:
        """End it; what it said."""
        self._stop.set()
        self._thread.join()
        self._look()
        s = self.sensor
        return Trace.of(self._times, self._values, s.zones, s.counted, s.counter)

    def _watch(self) -> None:
        due = time.monotonic()
        while True:
            due = max(due + self.sensor.every_s, time.monotonic())  # what reading takes is no pause more
            if self._stop.wait(due - time.monotonic()):
                return
            self._look()

    def _look(self) -> None:
        with contextlib.suppress(Silent):
            before = CLOCK()
            values = self.sensor.read()
            self._times.append((before + CLOCK()) // 2)
            self._values.append(values)


@dataclass(frozen=True)
class Heard:
    """What the sensors said beside one child process: see :func:`windows`.

    Attributes:
        traces: with each the sensor's name.
        before, after: when the machine was idle, before the child and after it.
    """

    traces: tuple[tuple[str, Trace], ...]
    before: Span
    after: Span


@dataclass
class Beside:
    """Enter it around a child process: it then waits for the idle power, before and after, where there is a sensor.

    Attributes:
        here: the sensors. meter: the wall meter's file, which is taken instead of them.
        why_not: nothing is read, and why; None where something is.
        idle_s, settle_s: see the constants.
    """

    here: Here
    meter: Meter | None = None
    why_not: Missing | None = None
    idle_s: float = IDLE_SECONDS
    settle_s: float = SETTLE_SECONDS
    _readings: list[Reading] = field(default_factory=list)
    _heard: Heard | None = None
    _spans: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, seconds: float, meter: str = "") -> Beside:
        """Beside a child whose series take so many seconds each; ``meter``: the path of a wall meter's file or none."""
        here = Here(()) if meter else look()
        why: Missing | None = None
        if not meter and not here.sensors:
            why = here.why_none
        elif seconds < LEAST_SECONDS:
            why = Missing(
                "",
                f"Energy needs series of {LEAST_SECONDS:g} s; these are of {seconds:g} s.",
                f"--seconds {LEAST_SECONDS:g} --repeats 5",
            )
        if meter:
            return cls(here, Meter(expanded(meter)), why, METER_IDLE_SECONDS)
        return cls(here, None, why)

    def said(self, repeats: int) -> str:
        """What will be read, or why nothing, for whoever starts a run of so many repeats."""
        if self.why_not is not None:
            tried = f" Try: {self.why_not.remedy}" if self.why_not.remedy else ""
            return f"no energy: {self.why_not.reason}{tried}"
        names = [f"{one.domain} ({one.name})" for one in self.here.sensors]
        if self.meter is not None:
            names = [f"{DOMAIN} ({self.meter.file})"]
        idle = 2 * (self.idle_s + 2 * self.settle_s)
        few = "" if repeats >= LEAST_WINDOWS else f"; an interval needs --repeats {LEAST_WINDOWS}"
        return f"energy: {', '.join(names)}; idle power takes {idle:g} s more of each repeat{few}"

    def __enter__(self) -> Beside:
        if self.why_not is None:
            self._readings = [Reading(sensor) for sensor in self.here.sensors if self.meter is None]
            for reading in self._readings:
                reading.start()
            self._idle()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.why_not is not None:
            return
        if kind is None:
            self._idle()
        traces = tuple((one.sensor.name, one.stop()) for one in self._readings)
        if kind is None:
            before, after = zip(self._spans[::2], self._spans[1::2], strict=True)
            try:
                self._heard = Heard((*traces, *self._metered(after[1])), before, after)
            except UserError as error:  # a meter's bad row costs the energy, and not the timing
                self.why_not = Missing(Meter.name, error.what, error.remedy)

    def _idle(self) -> None:
        """Wait, and note from when until when the machine was idle."""
        time.sleep(self.settle_s)
        self._spans.append(CLOCK())
        time.sleep(self.idle_s)
        self._spans.append(CLOCK())
        time.sleep(self.settle_s)

    def _metered(self, until_ns: int) -> tuple[tuple[str, Trace], ...]:
        if self.meter is None:
            return ()
        ahead = time.time_ns() - CLOCK()  # of the calendar's clock
        readings = self.meter.until(until_ns + ahead)
        times = [at - ahead for at, _ in readings]
        return ((Meter.name, Trace.of(times, [(w,) for _, w in readings], (Zone(DOMAIN),), (DOMAIN,), False)),)

    def energy(self, series: Mapping[str, Series], images: Mapping[str, int], used: frozenset[Part]) -> Energy:
        """The energy of one scenario's series.

        Args:
            images: series → images of each of its samples; a series that is not here has no energy.
            used: the parts of the machine that the child ran on.
        """
        if self.why_not is not None or self._heard is None:
            why = self.why_not or Missing("", "The sensors were not read to the end.")
            return Energy(reason=why.reason, remedy=why.remedy)
        kept = self._heard
        if self.meter is None:
            among = chosen(self.here.sensors, used)
            if isinstance(among, Missing):
                return Energy(reason=among.reason, remedy=among.remedy)
            names = [one.name for one in among]
            kept = Heard(tuple(t for t in kept.traces if t[0] in names), kept.before, kept.after)
        return windows(kept, series, images)


def windows(heard: Heard, series: Mapping[str, Series], images: Mapping[str, int]) -> Energy:
    """What all the traces together have of each series' window, idle power beside it."""
    traces = [trace for _, trace in heard.traces]
    domain = " + ".join(name for trace in traces for name in trace.counted)
    found = [_window(name, series[name], each, traces, heard.before, heard.after) for name, each in images.items()]
    return Energy(domain, " + ".join(name for name, _ in heard.traces), tuple(found))


def _window(name: str, s: Series, each: int, traces: Sequence[Trace], before: Span, after: Span) -> EnergyWindow:
    seconds = (s.end_ns - s.begin_ns) / 1e9
    images = each * len(s.samples)
    joules: dict[str, float] = {}
    steps: list[int] = []
    why = "" if seconds >= LEAST_SECONDS else f"{seconds:.1f} s of the {LEAST_SECONDS:g} s needed"
    try:
        for trace in traces:
            part = trace.window(s.begin_ns, s.end_ns)
            joules |= part.joules
            steps.append(part.steps)
    except Uncounted as uncounted:
        why = why or str(uncounted)
    idle_before, idle_after = (_together(traces, span) for span in (before, after))
    if not why and min(steps) < LEAST_STEPS:
        kind = "counter steps" if all(trace.counter for trace in traces) else "readings"
        why = f"{min(steps)} of the {LEAST_STEPS} {kind} needed"
    if not why and (idle_before is None or idle_after is None):
        why = "the idle power is not known"
    total = sum(joules.get(domain, 0.0) for trace in traces for domain in trace.counted)
    return EnergyWindow(name, 0, images, seconds, total, idle_before, idle_after, joules, min(steps, default=0), why)


def _together(traces: Sequence[Trace], span: Span) -> float | None:
    powers = [trace.watts(*span) for trace in traces]
    return sum(p for p in powers if p is not None) if powers and None not in powers else None
