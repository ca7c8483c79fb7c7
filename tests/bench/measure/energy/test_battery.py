"""A laptop's batteries."""

from __future__ import annotations

from pathlib import Path

import pytest
from boards import write

from bench.measure.energy.battery import Battery, find
from bench.measure.energy.sensor import Missing, Silent

AT = "sys/class/power_supply"


def battery(name: str = "BAT0", **values: object) -> dict[str, str]:
    known = {"type": "Battery", "status": "Discharging", **values}
    return {f"{AT}/{name}/{file}": f"{value}\n" for file, value in known.items()}


def sensor(root: Path, files: dict[str, str]) -> Battery:
    found = find(write(root, {f"{AT}/AC/type": "Mains\n", **files}))
    assert isinstance(found, Battery)
    return found


def test_energy_that_it_lost_is_counted(tmp_path: Path) -> None:
    found = sensor(tmp_path, battery(energy_now=40_000_000))
    write(tmp_path, battery(energy_now=39_900_000))
    assert sum(found.read()) == pytest.approx(360.0)  # 0.1 Wh


def test_charge_is_taken_at_the_voltage_of_its_time(tmp_path: Path) -> None:
    found = sensor(tmp_path, battery(charge_now=3_000_000, voltage_now=12_000_000))
    write(tmp_path, battery(charge_now=2_990_000, voltage_now=12_000_000))
    assert sum(found.read()) == pytest.approx(432.0)  # 10 mAh at 12 V
    write(tmp_path, battery(charge_now=2_980_000, voltage_now=11_000_000))
    assert sum(found.read()) == pytest.approx(432.0 + 396.0)


def test_two_batteries_are_added(tmp_path: Path) -> None:
    two = battery("BAT0", energy_now=10_000_000) | battery("BAT1", status="Not charging", energy_now=20_000_000)
    found = sensor(tmp_path, two)
    write(tmp_path, battery("BAT0", energy_now=9_990_000))
    assert sum(found.read()) == pytest.approx(36.0)


@pytest.mark.parametrize("status", ["Charging", "Full", "Not charging", "Unknown"])
def test_one_that_is_not_discharging_says_so(tmp_path: Path, status: str) -> None:
    found = find(write(tmp_path, battery(status=status, energy_now=5)))
    assert isinstance(found, Missing)
    assert status in found.reason
    assert found.remedy == "unplug the power supply"


def test_a_plug_that_is_put_in_silences_it(tmp_path: Path) -> None:
    found = sensor(tmp_path, battery(energy_now=40_000_000))
    write(tmp_path, battery(status="Charging", energy_now=40_000_000))
    with pytest.raises(Silent, match="Charging"):
        found.read()


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "no battery"),
        (battery("hid-mouse", scope="Device", energy_now=5), "no battery"),
        (battery(capacity=50), "does not say what it holds"),
    ],
)
def test_what_is_no_battery_of_the_machine_has_a_reason(tmp_path: Path, files: dict[str, str], reason: str) -> None:
    found = find(write(tmp_path, files))
    assert isinstance(found, Missing)
    assert reason in found.reason
