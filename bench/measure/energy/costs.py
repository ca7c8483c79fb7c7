"""From the windows of all repeats to metrics: millijoules an image with an interval, power, and idle power.

The interval is Student's t over the windows' own values (one a repeat, each a child process, interleaved with those of
the other cells): mean ± t(0.975, n − 1) · s / √n. Of fewer than five there is none. Idle power is subtracted from the
energy, and not from the power.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean, stdev

from bench.records.energy import IDLE, PER_IMAGE, POWER, Energy, EnergyWindow
from export.spec import Metric

LEAST_WINDOWS = 5
STUDENT = {4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 11: 2.201, 14: 2.145, 19: 2.093, 29: 2.045}
"""The 0.975 quantile of Student's t by its degrees of freedom; between two, that of the fewer is taken."""
LEAST_SHARE = 0.01
"""Power that is above the idle power by no more than this share of it, or by half of what the idle power moved between
before and after, is none."""
UNIT = "mJ/image"


def joined(repeats: Sequence[Energy | None]) -> Energy | None:
    """The energy of all repeats as one; where their sensors differ, none of it can be compared."""
    known = [one for one in repeats if one is not None]
    if not known:
        return None
    why = next((one for one in known if not one.domain), None)
    if why is not None:
        return replace(why, windows=())
    if len(domains := dict.fromkeys(one.domain for one in known)) > 1:
        return Energy(reason=f"The repeats were read by different sensors: {' and '.join(domains)}.")
    windows = [replace(w, repeat=number) for number, one in enumerate(repeats) if one for w in one.windows]
    return replace(known[0], windows=tuple(windows))


def metrics(energy: Energy | None, order: Sequence[str]) -> list[Metric]:
    """Energy, power and idle power; nothing where nothing was read.

    Args:
        order: the series that have an energy, that of the scenario's main figure first. Where there are several, the
            others' energies follow, by their names.
    """
    if energy is None or not energy.domain or not order:
        return []
    by_series = {name: [w for w in energy.windows if w.series == name] for name in order}
    main = by_series[order[0]]
    found = [_per_image(PER_IMAGE, main, energy.domain)]
    if len(order) > 1:
        found[0] = replace(found[0], note=f"{order[0]}; {found[0].note}")
    sound = [w for w in main if not w.why]
    if sound:
        idle = [w.idle_w for w in sound]
        before, after = (
            fmean(_known(values)) for values in zip(*((w.idle_before_w, w.idle_after_w) for w in sound), strict=True)
        )
        shown = f"{energy.domain}; before {before:.4g} W, after {after:.4g} W"
        power = fmean(w.joules / w.seconds for w in sound)
        found += [
            Metric.cost(POWER, power, "W", len(sound), note=f"{energy.domain}; idle power included"),
            Metric.cost(IDLE, fmean(idle), "W", len(sound), note=shown),
        ]
    if len(order) > 1:
        found += [_per_image(f"energy_{name}_mj_per_image", by_series[name], energy.domain) for name in order]
    return found


def _known(values: Sequence[float | None]) -> list[float]:
    return [v for v in values if v is not None]


def _per_image(name: str, windows: Sequence[EnergyWindow], domain: str) -> Metric:
    for w in windows:
        if w.why:
            return Metric.cost(name, None, UNIT, note=f"{domain}; n/a: {w.why}")
    n = len(windows)
    if not n or not all(w.images for w in windows):
        return Metric.cost(name, None, UNIT, note=f"{domain}; n/a: no image was answered")
    values = [w.mj_per_image for w in windows]
    mean = fmean(values)
    if why := _lost_in_idle(windows):
        return Metric.cost(name, None, UNIT, n, note=f"{domain}; n/a: {why}")
    if n < LEAST_WINDOWS:
        return Metric.cost(
            name, mean, UNIT, n, note=f"{domain}; interval n/a: {n} of the {LEAST_WINDOWS} windows needed"
        )
    error = stdev(values) / math.sqrt(n)
    half = student(n - 1) * error
    note = f"{domain}; 95 % interval {mean - half:.4g} to {mean + half:.4g} (Student's t, {n} windows)"
    return Metric.cost(name, mean, UNIT, n, error, note)


def _lost_in_idle(windows: Sequence[EnergyWindow]) -> str:
    """Why the windows' power cannot be told from the idle power; empty where it can."""
    power, idle = fmean(w.joules / w.seconds for w in windows), fmean(w.idle_w for w in windows)
    moved = fmean(abs((w.idle_after_w or 0.0) - (w.idle_before_w or 0.0)) for w in windows)
    if power - idle > max(moved / 2, LEAST_SHARE * idle):
        return ""
    return f"{power:.4g} W are not above the idle power, {idle:.4g} W, which moved by {moved:.3g} W"


def student(freedom: int) -> float:
    """The 0.975 quantile of Student's t, rounded up.

    Raises:
        ValueError: fewer than four degrees of freedom.
    """
    if freedom < min(STUDENT):
        raise ValueError(f"no interval of {freedom + 1} windows")
    return STUDENT[max(of for of in STUDENT if of <= freedom)]
