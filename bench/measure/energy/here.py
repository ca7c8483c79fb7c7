"""Which sensors of energy this machine has, why it lacks the others, and which of them are taken for a cell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.measure.energy import battery, gpu, rails, rapl
from bench.measure.energy.sensor import WHOLE, Missing, Part, Sensor
from engines.cuda.nvml import Nvml


@dataclass(frozen=True)
class Here:
    """What was found, in the order in which it is preferred: the widest that is fast comes first."""

    found: tuple[Sensor | Missing, ...]

    @property
    def sensors(self) -> tuple[Sensor, ...]:
        return tuple(one for one in self.found if isinstance(one, Sensor))

    @property
    def why_none(self) -> Missing:
        """Why no sensor can be read: one that only needs a permission or a plug pulled first."""
        missing = [one for one in self.found if isinstance(one, Missing)]
        names = ", ".join(one.sensor for one in missing)
        none = Missing("", f"This machine has no sensor of energy that can be read ({names}).", "bob sensors")
        return next((one for one in missing if one.remedy), none)


def look(root: Path = Path("/"), library: Nvml | None = None) -> Here:
    """Look for every kind of sensor. ``library``: the GPU's management library, where it is open already."""
    return Here((rails.find(root), rapl.find(root), gpu.find(library), battery.find(root)))


def chosen(sensors: tuple[Sensor, ...], used: frozenset[Part]) -> tuple[Sensor, ...] | Missing:
    """The sensors whose joules are added for a cell: one of the whole machine, or those of its parts.

    A battery, which is slow, stands back behind the counters of processor and GPU.

    Args:
        used: the parts that the cell runs on. All of them must be covered, or its energy would be somebody else's.
    """
    fast = tuple(one for one in sensors if not isinstance(one, battery.Battery))
    for one in fast:
        if one.covers == WHOLE:
            return (one,)
    covered = frozenset[Part]().union(*(one.covers for one in fast))
    if used <= covered:
        return fast
    if slow := tuple(one for one in sensors if one.covers == WHOLE):
        return slow[:1]
    lacking = " and ".join(sorted(used - covered))
    return Missing("", f"No sensor that can be read has the energy of the {lacking}.", "bob sensors")
