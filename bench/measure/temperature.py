"""How hot the machine is, and where it begins to slow down."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.measure import sysfs

SLOW_C = 80.0
"""Where a Raspberry Pi begins to slow down; taken of every chip that does not say."""
BELIEVED_C = (0.0, 150.0)
"""Sensors that are off read -274 or 0."""


@dataclass(frozen=True)
class Zone:
    """One thermal zone of the system, in degrees Celsius."""

    name: str
    celsius: float
    slow_c: float = SLOW_C


def zones(root: Path = Path("/")) -> tuple[Zone, ...]:
    """Every zone that has a reading, with the passive trip point where it has one."""
    found = []
    for folder in sorted((root / "sys/class/thermal").glob("thermal_zone[0-9]*")):
        celsius = _celsius(folder / "temp")
        if celsius is not None:
            found.append(Zone(sysfs.text(folder / "type"), celsius, _passive(folder)))
    return tuple(found)


def readings(root: Path = Path("/")) -> tuple[float, ...]:
    """The first sensor of every chip that measures temperatures; the zones where there is no such chip."""
    chips = (root / "sys/class/hwmon").glob("hwmon[0-9]*")
    found = [next(filter(None, map(_celsius, sorted(chip.glob("temp[0-9]*_input")))), None) for chip in chips]
    return tuple(c for c in found if c is not None) or tuple(zone.celsius for zone in zones(root))


def _passive(zone: Path) -> float:
    kinds = zone.glob("trip_point_[0-9]*_type")
    points = [_celsius(kind.with_name(kind.name.replace("_type", "_temp"))) for kind in kinds if _is_passive(kind)]
    return min((point for point in points if point is not None), default=SLOW_C)


def _is_passive(kind: Path) -> bool:
    return sysfs.text(kind) == "passive"


def _celsius(file: Path) -> float | None:
    thousandths = sysfs.number(file)
    celsius = None if thousandths is None else thousandths / 1000
    return celsius if celsius is not None and BELIEVED_C[0] < celsius < BELIEVED_C[1] else None
