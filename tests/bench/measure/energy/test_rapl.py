"""RAPL's counters, over folders as the kernel shows them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from boards import write

from bench.measure.energy.rapl import CLASS, Rapl, find
from bench.measure.energy.sensor import Missing, Silent
from bench.measure.energy.trace import Trace

RANGE = 262_143_328_850


def zone(folder: str, name: str, energy_uj: int, most: int = RANGE) -> dict[str, str]:
    at = f"{CLASS}/{folder}"
    return {f"{at}/name": f"{name}\n", f"{at}/energy_uj": f"{energy_uj}\n", f"{at}/max_energy_range_uj": f"{most}\n"}


LAPTOP = {
    **zone("intel-rapl:0", "package-0", 9_000_000),
    **zone("intel-rapl:0:0", "core", 5_000_000),
    **zone("intel-rapl:0:1", "uncore", 1_000_000),
    **zone("intel-rapl:1", "psys", 20_000_000),
    **zone("intel-rapl-mmio:0", "package-0", 9_000_001),
}
SERVER = {
    **zone("intel-rapl:0", "package-0", 1_000_000),
    **zone("intel-rapl:0:0", "dram", 100_000),
    **zone("intel-rapl:1", "package-1", 2_000_000),
    **zone("intel-rapl:1:0", "dram", 200_000),
}


def sensor(root: Path, files: Mapping[str, str]) -> Rapl:
    found = find(write(root, files))
    assert isinstance(found, Rapl)
    return found


def test_a_package_has_its_cores_within_it_and_psys_is_recorded_beside_it(tmp_path: Path) -> None:
    found = sensor(tmp_path, LAPTOP)
    assert found.domain == "package"
    assert sorted(one.domain for one in found.zones) == ["package", "psys"]
    assert sorted(found.read()) == [9.0, 20.0]


def test_one_register_that_is_shown_through_msr_and_mmio_is_counted_once(tmp_path: Path) -> None:
    found = sensor(tmp_path, LAPTOP)
    assert [one.domain for one in found.zones].count("package") == 1
    only = {name: text for name, text in LAPTOP.items() if "mmio" in name or "psys" in text}
    assert sensor(tmp_path / "mmio", only).read()[0] == 9.000001


def test_several_sockets_are_added_and_dram_is_added_and_named(tmp_path: Path) -> None:
    found = sensor(tmp_path, SERVER)
    assert found.domain == "package + dram"
    assert [one.domain for one in found.zones] == ["package", "dram", "package", "dram"]
    assert sum(found.read()) == pytest.approx(3.3)


def test_dram_of_each_socket_is_another_one_and_that_of_mmio_is_not(tmp_path: Path) -> None:
    twice = {name.replace("intel-rapl:", "intel-rapl-mmio:"): text for name, text in SERVER.items()}
    assert len(sensor(tmp_path, SERVER | twice).zones) == 4


def test_dies_of_one_socket_are_added(tmp_path: Path) -> None:
    dies = {**zone("intel-rapl:0", "package-0-die-0", 1_000_000), **zone("intel-rapl:1", "package-0-die-1", 2_000_000)}
    assert sum(sensor(tmp_path, dies).read()) == 3.0


def test_counters_that_wrap_inside_a_window_go_on_each_at_its_own_range(tmp_path: Path) -> None:
    def state(second: int) -> dict[str, str]:
        """The package takes 2 J a second and wraps after 3, the memory 1 J a second and wraps after 5."""
        package = zone("intel-rapl:0", "package-0", 2_000_000 * second % 3_000_000, 3_000_000)
        return package | zone("intel-rapl:0:0", "dram", 1_000_000 * second % 5_000_000, 5_000_000)

    found = sensor(tmp_path, state(0))
    read = []
    for second in range(12):
        write(tmp_path, state(second))
        read.append(found.read())
    trace = Trace.of([s * 10**9 for s in range(12)], read, found.zones, found.counted, found.counter)
    assert trace.window(10**9, 11 * 10**9).joules == {"package": pytest.approx(20.0), "dram": pytest.approx(10.0)}


def test_a_platform_counter_alone_is_counted(tmp_path: Path) -> None:
    assert sensor(tmp_path, zone("intel-rapl:0", "psys", 1)).domain == "psys"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_counters_that_only_root_may_read_get_the_remedy(open_folder: Path) -> None:
    write(open_folder, LAPTOP)
    for folder, _, files in os.walk(open_folder):
        Path(folder).chmod(0o755)
        for name in files:
            (Path(folder) / name).chmod(0o400 if name == "energy_uj" else 0o444)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    else:
        for file in open_folder.rglob("energy_uj"):
            file.chmod(0)
    try:
        found = find(open_folder)
    finally:
        os.seteuid(user)
    assert isinstance(found, Missing)
    assert "Only root may read" in found.reason
    assert found.remedy.startswith("sudo chmod a+r /sys/class/powercap/*/energy_uj")


def test_a_counter_that_says_nothing_is_no_permission(tmp_path: Path) -> None:
    found = find(
        write(tmp_path, LAPTOP | {f"{CLASS}/{n}/energy_uj": "" for n in ("intel-rapl:0", "intel-rapl-mmio:0")})
    )
    assert isinstance(found, Missing)
    assert "cannot be read" in found.reason
    assert not found.remedy


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "shows no energy counters"),
        ({f"{CLASS}/intel-rapl/enabled": "1\n"}, "shows no energy counters"),
        (zone("intel-rapl:0", "core", 5), "shows no energy counters"),
        (zone("intel-rapl:0:0", "dram", 5), "of parts of the processor alone"),
    ],
)
def test_what_is_missing_has_a_reason(tmp_path: Path, files: dict[str, str], reason: str) -> None:
    found = find(write(tmp_path, files))
    assert isinstance(found, Missing)
    assert reason in found.reason


def test_a_counter_that_goes_away_is_silent(tmp_path: Path) -> None:
    found = sensor(tmp_path, LAPTOP)
    (tmp_path / CLASS / "intel-rapl:0/energy_uj").unlink()
    with pytest.raises(Silent):
        found.read()
