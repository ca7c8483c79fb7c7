"""The energy counters of x86 processors (RAPL), as Linux' powercap shows them.

A zone is a folder with ``name``, ``energy_uj`` and ``max_energy_range_uj``. ``package-0`` has everything in a socket:
``core`` and ``uncore`` lie within it and are never added. ``dram`` lies beside it and is added. ``psys`` is of the
whole platform, packages included, and is recorded beside them: what else it has differs from board to board. The
registers may be shown twice, through MSR (``intel-rapl``) and through MMIO (``intel-rapl-mmio``). AMD's processors come
under the same names. Source: Linux' ``Documentation/power/powercap/powercap.rst`` and ``drivers/powercap``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from bench.measure import sysfs
from bench.measure.energy.sensor import Missing, Sensor, Zone, number

CLASS = "sys/class/powercap"
WITHIN = frozenset(("core", "uncore"))


@dataclass(frozen=True)
class Counter:
    """One zone's folder.

    Attributes:
        socket: whose it is; two folders with one socket and one domain show one register.
    """

    folder: Path
    socket: str
    domain: str

    @property
    def readable(self) -> bool:
        return sysfs.number(self.folder / "energy_uj") is not None

    @property
    def denied(self) -> bool:
        return not os.access(self.folder / "energy_uj", os.R_OK, effective_ids=os.access in os.supports_effective_ids)


class Rapl(Sensor):
    """The counters of all sockets."""

    name = "RAPL"
    counter = True
    covers = frozenset(("processor",))

    def __init__(self, counters: tuple[Counter, ...]) -> None:
        self._files = tuple(one.folder / "energy_uj" for one in counters)
        wraps = [sysfs.number(one.folder / "max_energy_range_uj") or 0 for one in counters]
        self.zones = tuple(Zone(one.domain, wrap / 1e6) for one, wrap in zip(counters, wraps, strict=True))
        had = {one.domain for one in counters}
        self.counted = tuple(domain for domain in ("package", "dram") if domain in had) or ("psys",)

    def read(self) -> tuple[float, ...]:
        return tuple(number(file) / 1e6 for file in self._files)


def find(root: Path = Path("/")) -> Rapl | Missing:
    """The counters, or why there are none: of a package that may not be read, nothing is counted."""
    shown = _counters(root)
    if not shown:
        return Missing(Rapl.name, "The system shows no energy counters of the processor.")
    one_each: dict[tuple[str, str], Counter] = {}
    for counter in sorted(shown, key=lambda one: not one.readable):  # stable: MSR before MMIO
        one_each.setdefault((counter.socket, counter.domain), counter)
    kept = tuple(one_each.values())
    whole = [one for one in kept if one.domain == "package"] or [one for one in kept if one.domain == "psys"]
    unread = [one for one in whole if not one.readable]
    if not whole:
        return Missing(Rapl.name, "The energy counters are of parts of the processor alone.")
    if any(one.denied for one in unread):
        return Missing(
            Rapl.name,
            "Only root may read the processor's energy counters (since 2020, against side channels).",
            f"sudo chmod a+r /{CLASS}/*/energy_uj (until the next start), then bob run --fresh",
        )
    if unread:
        return Missing(Rapl.name, "The processor's energy counters cannot be read.")
    return Rapl(tuple(one for one in kept if one.readable))


def _counters(root: Path) -> list[Counter]:
    """Every zone that is counted or recorded, MSR's first."""
    found = []
    folders = (root / CLASS).glob("intel-rapl*:[0-9]*")
    for folder in sorted(folders, key=lambda f: ("mmio" in f.name, f.name)):
        name = sysfs.text(folder / "name")
        if name.startswith("package"):
            found.append(Counter(folder, name, "package"))
        elif name == "psys":
            found.append(Counter(folder, "", "psys"))
        elif name and name not in WITHIN:
            parent = folder.with_name(folder.name.rpartition(":")[0])
            found.append(Counter(folder, sysfs.text(parent / "name"), name))
    return found
