"""What every sensor of energy or power has in common, and why a machine may lack one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from bench.measure import sysfs

Part = Literal["processor", "GPU"]
WHOLE: frozenset[Part] = frozenset(("processor", "GPU"))


@dataclass(frozen=True)
class Missing:
    """A sensor that this machine does not have, or that may not be read: why, and what would enable it."""

    sensor: str
    reason: str
    remedy: str = ""


class Silent(Exception):
    """A sensor gave no reading this time; it may at the next."""


@dataclass(frozen=True)
class Zone:
    """One number that a sensor reads.

    Attributes:
        domain: what it is of: ``package``, ``dram``, ``VDD_IN``, ``wall``. Zones of one domain are added.
        wraps_j: a counter begins again at 0 after so many joules; 0 where it does not.
    """

    domain: str
    wraps_j: float = 0.0


class Sensor(ABC):
    """A sensor that can be read here.

    Attributes:
        name: what the field calls it.
        counter: it counts joules; else it reads watts, which are integrated over time.
        covers: the parts of the machine whose energy it has.
        every_s: seconds from one reading to the next: so that on a slow board, too, the shortest window that counts has
            its 200.
        zones: what a reading has, in order.
        counted: the domains that are added up. None lies within another; further ones are recorded beside them.
    """

    name: ClassVar[str]
    counter: ClassVar[bool]
    covers: ClassVar[frozenset[Part]]
    every_s: ClassVar[float] = 0.03
    zones: tuple[Zone, ...]
    counted: tuple[str, ...]

    @property
    def domain(self) -> str:
        """What is added up, in words."""
        return " + ".join(self.counted)

    @abstractmethod
    def read(self) -> tuple[float, ...]:
        """Joules since some time in the past, or watts now: one number a zone.

        Raises:
            Silent: there is no reading.
        """


def number(file: Path) -> int:
    """The whole number in a file.

    Raises:
        Silent: there is none.
    """
    value = sysfs.number(file)
    if value is None:
        raise Silent(f"{file.name} cannot be read")
    return value
