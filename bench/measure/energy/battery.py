"""What a laptop's battery still holds: it falls by what the whole machine takes, while nothing charges it.

``energy_now`` is in µWh; a battery that counts charge has ``charge_now`` in µAh, times ``voltage_now`` in µV. Source:
Linux' ``Documentation/ABI/testing/sysfs-class-power``.
"""

from __future__ import annotations

from pathlib import Path

from bench.measure import sysfs
from bench.measure.energy.sensor import WHOLE, Missing, Sensor, Silent, Zone, number

JOULES_PER_UWH = 3600 / 1e6
IDLE = ("", "Unknown", "Not charging", "Full")
"""What a second battery may say while the first one is emptied."""


class Cell:
    """One battery: joules that it gave since it was first read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._given = 0.0
        self._last: float | None = None

    def given_j(self) -> float:
        """Joules so far; of a charge each part times the voltage at which it was given."""
        file = self.folder / "energy_now"
        if file.exists():
            now, joules = number(file), JOULES_PER_UWH
        else:
            now = number(self.folder / "charge_now")
            joules = JOULES_PER_UWH * number(self.folder / "voltage_now") / 1e6
        if self._last is not None:
            self._given += (self._last - now) * joules
        self._last = now
        return self._given


class Battery(Sensor):
    """All batteries of the machine."""

    name = "battery"
    counter = True
    covers = WHOLE
    every_s = 0.5  # the firmware renews it every second at the most, and is slow to ask
    zones = (Zone("battery"),)
    counted = ("battery",)

    def __init__(self, cells: tuple[Cell, ...]) -> None:
        self._cells = cells

    def read(self) -> tuple[float, ...]:
        if why := _not_emptied(self._cells):
            raise Silent(why)
        return (sum(cell.given_j() for cell in self._cells),)


def find(root: Path = Path("/")) -> Battery | Missing:
    """The batteries, or why nothing can be read from them."""
    supplies = sorted((root / "sys/class/power_supply").glob("*"))
    own = [s for s in supplies if sysfs.text(s / "type") == "Battery" and sysfs.text(s / "scope") != "Device"]
    cells = tuple(Cell(folder) for folder in own)  # a mouse has one too, of scope Device
    if not cells:
        return Missing(Battery.name, "The machine has no battery.")
    if why := _not_emptied(cells):
        return Missing(Battery.name, f"The battery is not discharging ({why}).", "unplug the power supply")
    found = Battery(cells)
    try:
        found.read()
    except Silent as silent:
        return Missing(Battery.name, f"The battery does not say what it holds: {silent}.")
    return found


def _not_emptied(cells: tuple[Cell, ...]) -> str:
    """Its state, where something charges one of the batteries or none is emptied; else empty."""
    states = [sysfs.text(cell.folder / "status") for cell in cells]
    other = [state for state in states if state != "Discharging"]
    if len(other) == len(states) or any(state not in IDLE for state in other):
        return ", ".join(state or "no state" for state in dict.fromkeys(states))
    return ""
