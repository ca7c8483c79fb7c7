"""Which sensors are taken: all parts that a cell runs on are covered, and no joule is taken twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from boards import write

from bench.measure.energy.here import Here, chosen, look
from bench.measure.energy.sensor import WHOLE, Missing, Part, Sensor, Zone
from engines.cuda.nvml import Nvml

CPU: frozenset[Part] = frozenset(("processor",))
RAPL = {"sys/class/powercap/intel-rapl:0/name": "package-0\n", "sys/class/powercap/intel-rapl:0/energy_uj": "5\n"}
BATTERY = {
    f"sys/class/power_supply/BAT0/{name}": f"{value}\n"
    for name, value in {"type": "Battery", "status": "Discharging", "energy_now": 5}.items()
}
RAIL = {
    f"sys/class/hwmon/hwmon0/{name}": f"{value}\n"
    for name, value in {"name": "ina3221", "in1_label": "VDD_IN", "in1_input": 5000, "curr1_input": 100}.items()
}


class Board(Nvml):
    def __init__(self, joules: float | None = None) -> None:
        self.joules = joules

    def energy_j(self) -> float | None:
        return self.joules


@pytest.mark.parametrize(
    ("files", "gpu", "used", "names"),
    [
        (RAPL, None, CPU, ["RAPL"]),
        (RAPL, 1.0, CPU, ["RAPL", "NVML"]),
        (RAPL, 1.0, WHOLE, ["RAPL", "NVML"]),
        ({}, 1.0, WHOLE, "has the energy of the processor"),
        ({}, 1.0, CPU, "has the energy of the processor"),
        (RAPL, None, WHOLE, "has the energy of the GPU"),
        (RAPL | BATTERY, None, CPU, ["RAPL"]),
        (RAPL | BATTERY, None, WHOLE, ["battery"]),
        (BATTERY, None, WHOLE, ["battery"]),
        (RAIL | BATTERY, None, WHOLE, ["INA3221"]),
    ],
)
def test_a_cell_is_metered_on_all_that_it_runs_on(
    tmp_path: Path, files: dict[str, str], gpu: float | None, used: frozenset[Part], names: list[str] | str
) -> None:
    found = chosen(look(write(tmp_path, files), Board(gpu)).sensors, used)
    if isinstance(found, Missing):
        assert isinstance(names, str)
        assert names in found.reason
    else:
        assert [one.name for one in found] == names
        domains = [domain for one in found for domain in one.counted]
        assert len(set(domains)) == len(domains)


def test_a_remedy_is_named_before_what_has_none(tmp_path: Path) -> None:
    here = look(write(tmp_path, BATTERY | {"sys/class/power_supply/BAT0/status": "Full\n"}), Board())
    assert not here.sensors
    assert here.why_none.remedy == "unplug the power supply"
    none = look(tmp_path / "empty", Board()).why_none
    assert none.reason == "This machine has no sensor of energy that can be read (INA3221, RAPL, NVML, battery)."


def test_no_sensor_guesses() -> None:
    assert Here(()).sensors == ()

    class Two(Sensor):
        name, counter, covers = "two", True, WHOLE
        zones, counted = (Zone("a"), Zone("b")), ("a", "b")

        def read(self) -> tuple[float, ...]:
            return 1.0, 2.0

    assert Two().domain == "a + b"
