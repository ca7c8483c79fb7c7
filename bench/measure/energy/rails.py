"""The supply rails of a Jetson, by its power monitors: an INA3221 of three channels each, on Thor an INA238 as well.

JetPack 5, 6 and 7 show them as hwmon: ``in1_label``, millivolts in ``in1_input``, milliamperes in ``curr1_input``; an
INA238 has microwatts in ``power1_input``. JetPack 4 showed them as iio: ``rail_name_0``, milliwatts in
``in_power0_input``. Where one rail feeds the whole module, it alone is counted, for the others lie behind it. Elsewhere
those that feed the module side by side are added. Sources: NVIDIA's Jetson Linux Developer Guide ("Platform Power and
Performance": power monitor channels), Linux' ``Documentation/hwmon/ina3221.rst`` and ``ina238.rst``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.measure import jetson, sysfs
from bench.measure.energy.sensor import WHOLE, Missing, Sensor, Zone, number

INPUTS = ("VIN", "VDD_IN", "POM_5V_IN", "5V_IN")
"""Rails that feed everything, the widest first: VIN of Thor's developer kit; VDD_IN of the modules TX1, TX2, Xavier NX,
Orin NX and Orin Nano; POM_5V_IN of the Nano."""
SIDE_BY_SIDE = (
    ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),  # AGX Orin; VDDQ_VDD2_1V8AO lies behind VIN_SYS_5V0
    ("VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0"),  # Thor's module
    ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"),  # AGX Xavier
)
"""Rails that together feed a module that has no rail for everything."""
UNUSED = ("", "NC")


@dataclass(frozen=True)
class Rail:
    """A rail, and the files whose product is its power: ``scale`` brings it to watts."""

    name: str
    files: tuple[Path, ...]
    scale: float

    def watts(self) -> float:
        product = self.scale
        for file in self.files:
            product *= number(file)
        return product


class Rails(Sensor):
    """The rails that are counted, in watts."""

    name = "INA3221"
    counter = False
    covers = WHOLE

    def __init__(self, rails: tuple[Rail, ...]) -> None:
        self._rails = rails
        self.counted = tuple(rail.name for rail in rails)
        self.zones = tuple(map(Zone, self.counted))

    def read(self) -> tuple[float, ...]:
        return tuple(rail.watts() for rail in self._rails)


def find(root: Path = Path("/")) -> Rails | Missing:
    """The rails that feed the module, or why their power is not known."""
    rails = {rail.name: rail for rail in (*_hwmon(root), *_iio(root))}
    for names in (*((name,) for name in INPUTS), *SIDE_BY_SIDE):
        if all(name in rails for name in names):
            return Rails(tuple(rails[name] for name in names))
    if rails:
        return Missing(Rails.name, f"Which of the rails {', '.join(sorted(rails))} feed the whole board is not known.")
    return Missing(Rails.name, "The system shows no power monitor of a Jetson.")


def _hwmon(root: Path) -> Iterator[Rail]:
    for place in ("sys/class/hwmon", "sys/bus/i2c/drivers/ina3221/*/hwmon", "sys/bus/i2c/drivers/ina238/*/hwmon"):
        for chip in sorted(root.glob(f"{place}/hwmon[0-9]*")):
            kind = sysfs.text(chip / "name")
            if kind == "ina3221":
                yield from _channels(chip)
            elif kind == "ina238" and jetson.release(root):
                yield Rail(sysfs.text(chip / "label") or "VIN", (chip / "power1_input",), 1e-6)


def _channels(chip: Path) -> Iterator[Rail]:
    for channel in (1, 2, 3):  # further ones are of shunts, and of the sum of shunts
        name = sysfs.text(chip / f"in{channel}_label")
        if name not in UNUSED and sysfs.text(chip / f"in{channel}_enable") != "0":
            yield Rail(name, (chip / f"in{channel}_input", chip / f"curr{channel}_input"), 1e-6)


def _iio(root: Path) -> Iterator[Rail]:
    for chip in sorted(root.glob("sys/bus/i2c/drivers/ina3221x/*/iio*device*")):
        for channel in (0, 1, 2):
            name = sysfs.text(chip / f"rail_name_{channel}")
            if name not in UNUSED:
                yield Rail(name, (chip / f"in_power{channel}_input",), 1e-3)
