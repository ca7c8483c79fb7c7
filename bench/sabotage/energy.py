"""Traps of energy: sensors that are read too seldom, and one figure for every way of working."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from bench.measure.clock import Series
from bench.measure.criterion import Stopped
from bench.measure.energy.beside import Heard, windows
from bench.measure.energy.costs import joined, metrics
from bench.measure.energy.sensor import Zone
from bench.measure.energy.trace import Trace
from bench.measure.scenarios.offline import Offline
from bench.records.energy import Energy
from bench.records.results import Results
from bench.sabotage.bed import STREAM, Bed
from bench.sabotage.trap import Answer, Traps, require, require_bite
from bench.verdict.table import sheet_of
from export.spec import Metric

ENERGY = Traps("energy")
IDLE_S = 2.0
"""Before the window and after it."""
DOMAIN = "wall"


def read(watts: Callable[[float], float], at: np.ndarray, seconds: float, images: int = 1000) -> Energy:
    """What the harness makes of a sensor of power that is read at these times; the window begins after the idle time.

    Args:
        watts: at a time, in seconds; the machine idles before 0 and after ``seconds``.
    """
    times = [round(1e9 * (t + IDLE_S)) for t in at]
    trace = Trace.of(times, [(watts(t),) for t in at], (Zone(DOMAIN),), (DOMAIN,), counter=False)
    begin, end = round(1e9 * IDLE_S), round(1e9 * (IDLE_S + seconds))
    series = Series(0, [], [1] * images, True, begin, end, Stopped(False, "", None))
    heard = Heard(((DOMAIN, trace),), (0, begin), (end, end + round(1e9 * IDLE_S)))
    return windows(heard, {"latency": series}, {"latency": 1})


def figure(energy: Energy, repeats: int = 5) -> Metric:
    """The energy of an image, of so many such windows."""
    return metrics(joined([energy] * repeats), ("latency",))[0]


def true_mj(watts: Callable[[float], float], seconds: float, images: int = 1000) -> float:
    """What an image takes beyond the idle power, by a reading every 100 µs."""
    fine = np.arange(0, seconds, 1e-4)
    return 1e3 * float(np.mean([watts(t) - watts(-1) for t in fine])) * seconds / images


def _polled(every: float, seconds: float, silent: tuple[float, float] = (0, 0)) -> np.ndarray:
    at = np.arange(-IDLE_S, seconds + IDLE_S + every, every)
    return at[(at <= silent[0]) | (at >= silent[1])]


def _naive(watts: Callable[[float], float], at: np.ndarray, seconds: float, images: int = 1000) -> float:
    """The mean of the readings there are, times the seconds."""
    inside = [watts(t) for t in at if 0 <= t < seconds]
    return 1e3 * (float(np.mean(inside)) - watts(-1)) * seconds / images


@ENERGY.add(
    "polls",
    33,
    "one-second polls",
    "a load that works in the first half of every second, read once a second",
    "refused",
)
def polls(bed: Bed) -> Answer:
    """A window needs 10 s and 200 readings."""

    def watts(t: float) -> float:
        return 100.0 if 0 <= t < 20 and t % 1 < 0.5 else 10.0

    at = _polled(1.0, 20)
    naive, right = _naive(watts, at, 20), true_mj(watts, 20)
    found = figure(read(watts, at, 20))
    short = figure(read(watts, _polled(0.03, 5), 5))
    require_bite(naive > 1.5 * right, f"{naive:.0f} mJ for {right:.0f}")
    require(found.value is None and short.value is None, f"{found.value} and {short.value} mJ")
    said = f"{found.note}; a window of 5 s: {short.note}"
    return Answer("refused", said, f"{naive:.0f} mJ an image, where it takes {right:.0f}")


@ENERGY.add(
    "gaps",
    33,
    "a sensor that sees a quarter of the time",
    "readings that stop for three quarters of the window",
    "refused",
)
def gaps(bed: Bed) -> Answer:
    """Watts that nobody read are not guessed."""

    def watts(t: float) -> float:
        return 10.0 if t < 0 or t >= 20 else 90.0 if t < 5 else 30.0

    at = _polled(0.03, 20, (5, 19.9))
    naive, right = _naive(watts, at, 20), true_mj(watts, 20)
    found = figure(read(watts, at, 20))
    require_bite(naive > 1.5 * right, f"{naive:.0f} mJ for {right:.0f}")
    require(found.value is None, f"{found.value} mJ")
    return Answer("refused", found.note, f"{naive:.0f} mJ an image, where it takes {right:.0f}")


@ENERGY.add(
    "operating-point",
    34,
    "one operating point",
    "a board that takes 6.5 mJ an image in batches, and 21.9 one by one",
    "unmoved",
)
def operating_point(bed: Bed) -> Answer:
    """Every scenario has an energy of its own, and a column of its own."""
    taken = {STREAM: 21.9, Offline.name: 6.5}
    run = bed.sweep(scenarios=tuple(taken), repeats=1)
    records = []
    for name, mj in taken.items():
        power = 10 + mj * 1000 / 1e3 / 20  # 1,000 images in 20 s
        energy = joined([read(lambda t, power=power: power if 0 <= t < 20 else 10.0, _polled(0.03, 20), 20)] * 5)  # type: ignore[misc]
        timing = run.timing(scenario=name)
        records.append(replace(timing, energy=energy, metrics=(*timing.metrics, *metrics(energy, ("latency",)))))
    require_bite(len(set(taken.values())) == 2, "both take the same")
    sheet = sheet_of(Results(tuple(records)))
    found = {c.name: float(sheet.cost_values[0, j]) for j, c in enumerate(sheet.costs) if "mj_per_image" in c.name}
    right = len(found) == 2 and all(min(abs(v - mj) for v in found.values()) < 0.02 * mj for mj in taken.values())
    require(right, f"{found}")
    said = " and ".join(f"{name} {value:.1f}" for name, value in found.items())
    return Answer("unmoved", f"two columns: {said}", "one figure, whichever was measured")
