"""A Jetson's supply rails, as JetPack 4 to 7 show them."""

from __future__ import annotations

from pathlib import Path

import pytest
from boards import HWMON, ORIN_RAILS, power_monitor, write

from bench.measure.energy.rails import Rails, find
from bench.measure.energy.sensor import Missing, Silent

NANO_AT = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon"
SHOWN = power_monitor(3, ("VDD_IN", 5000, 2000), ("VDD_CPU_GPU_CV", 4900, 800), ("VDD_SOC", 4900, 300))
NANO = {name.replace(HWMON, NANO_AT): text for name, text in SHOWN.items()}
THOR_MODULE = power_monitor(2, ("VDD_GPU", 19000, -20), ("VDD_CPU_SOC_MSS", 19000, 300), ("VIN_SYS_5V0", 5000, 1200))
THOR = THOR_MODULE | {
    "etc/nv_tegra_release": "# R38 (release), REVISION: 4.0, GCID: 1,\n",
    "sys/class/hwmon/hwmon5/name": "ina238\n",
    "sys/class/hwmon/hwmon5/power1_input": "23500000\n",
}
XAVIER = power_monitor(0, ("GPU", 19000, 10), ("CPU", 19000, 20), ("SOC", 19000, 30))
XAVIER |= power_monitor(1, ("CV", 19000, 0), ("VDDRQ", 19000, 10), ("SYS5V", 5000, 400))
OLD = {
    f"sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/{name}": f"{value}\n"
    for name, value in {
        "rail_name_0": "POM_5V_IN",
        "in_power0_input": 3100,
        "rail_name_1": "POM_5V_GPU",
        "in_power1_input": 900,
        "rail_name_2": "POM_5V_CPU",
        "in_power2_input": 1100,
    }.items()
}


@pytest.mark.parametrize(
    ("files", "domain", "watts"),
    [
        (NANO, "VDD_IN", 10.0),
        (OLD, "POM_5V_IN", 3.1),
        (ORIN_RAILS, "VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0", 3.8 + 1.9 + 3.0),
        (THOR_MODULE, "VDD_GPU + VDD_CPU_SOC_MSS + VIN_SYS_5V0", -0.38 + 5.7 + 6.0),
        (THOR, "VIN", 23.5),
        (XAVIER, "GPU + CPU + SOC + CV + VDDRQ + SYS5V", 0.19 + 0.38 + 0.57 + 0.0 + 0.19 + 2.0),
    ],
    ids=["Orin Nano", "JetPack 4", "AGX Orin", "Thor, its module", "Thor", "AGX Xavier"],
)
def test_no_rail_is_added_to_one_that_feeds_it(
    tmp_path: Path, files: dict[str, str], domain: str, watts: float
) -> None:
    found = find(write(tmp_path, files))
    assert isinstance(found, Rails)
    assert found.domain == domain
    assert not found.counter
    assert sum(found.read()) == pytest.approx(watts)


def test_a_monitor_that_is_shown_twice_is_one(tmp_path: Path) -> None:
    found = find(write(tmp_path, NANO | SHOWN))
    assert isinstance(found, Rails)
    assert sum(found.read()) == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "no power monitor"),
        (power_monitor(0, ("VIN_SYS_5V0", 5000, 1)), "Which of the rails VIN_SYS_5V0 feed"),
        ({"sys/class/hwmon/hwmon5/name": "ina238\n", "sys/class/hwmon/hwmon5/power1_input": "5\n"}, "no power monitor"),
        (NANO | {f"{NANO_AT}/hwmon3/in1_enable": "0\n"}, "VDD_CPU_GPU_CV, VDD_SOC"),
    ],
    ids=["none", "a part", "another board's", "switched off"],
)
def test_a_part_of_a_board_is_not_taken_for_the_whole(tmp_path: Path, files: dict[str, str], reason: str) -> None:
    found = find(write(tmp_path, files))
    assert isinstance(found, Missing)
    assert reason in found.reason


def test_a_monitor_that_sleeps_is_silent(tmp_path: Path) -> None:
    found = find(write(tmp_path, NANO))
    assert isinstance(found, Rails)
    write(tmp_path, {f"{NANO_AT}/hwmon3/curr1_input": ""})
    with pytest.raises(Silent, match="curr1_input"):
        found.read()
