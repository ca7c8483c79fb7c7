from __future__ import annotations

import platform
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from boards import FIRMWARE, LAPTOP, ORIN, PI4, PI5, arm_cores, jetson_mode, policy, thermal, write

from bench.measure import machine
from bench.measure.machine import environment
from engines import processor
from engines.cuda.device import Device
from engines.processor import cores
from export.store import key


def id_of_schema_6(processor: str, board: str = "", **gpu: str) -> str:
    """The id that machines had before there were power modes in it."""
    hardware: dict[str, Any] = {
        "processor": processor,
        "board": board,
        "architecture": platform.machine(),
        "cores": cores(),
        "memory_mib": round(psutil.virtual_memory().total / 2**20, -2),
    }
    return key("machine", **hardware, **gpu)[:8]


def test_a_gpu_makes_another_machine_and_its_driver_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for gpu in (None, Device("A", "8.6", "580.1", 1), Device("A", "8.6", "590.2", 1), Device("B", "8.6", "580.1", 1)):
        monkeypatch.setattr(machine, "device", lambda gpu=gpu: gpu)
        found.append(environment())
    without, a, newer, b = found
    assert without.gpu is None
    assert a.gpu == {"name": "A", "capability": "8.6", "driver": "580.1"}
    assert a.id == newer.id
    assert newer.gpu
    assert newer.gpu["driver"] == "590.2"
    assert len({without.id, a.id, b.id}) == 3


def test_machines_without_limits_keep_their_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    laptop, container = write(tmp_path / "laptop", LAPTOP), tmp_path / "container"
    unknown = platform.processor() or platform.machine()
    for gpu in (None, Device("A", "8.6", "580.1", 1)):
        monkeypatch.setattr(machine, "device", lambda gpu=gpu: gpu)
        named = {"gpu": "A"} if gpu else {}
        assert environment(laptop).id == id_of_schema_6("Intel(R) Core(TM) i7-1165G7 @ 2.80GHz", **named)
        assert environment(container).id == id_of_schema_6(unknown, **named)
        assert environment(write(tmp_path / "riscv", {"proc/device-tree/model": "Board\0"})).id == id_of_schema_6(
            unknown, "Board", **named
        )
    assert environment(laptop).governor == "powersave"
    assert environment(container).governor == ""


@pytest.mark.parametrize(
    ("files", "processor", "name"),
    [
        (PI5, "Cortex-A76", "Raspberry Pi 5 Model B Rev 1.0"),
        (PI4, "Cortex-A72", "Raspberry Pi 4 Model B Rev 1.4"),
        (
            ORIN,
            "Cortex-A78AE",
            "NVIDIA Jetson AGX Orin Developer Kit (JetPack 6.2, MAXN)",
        ),
        (LAPTOP, "Intel(R) Core(TM) i7-1165G7 @ 2.80GHz", "Intel(R) Core(TM) i7-1165G7 @ 2.80GHz"),
        ({"proc/cpuinfo": arm_cores((0x41, 0xD0C))}, "Neoverse-N1", "Neoverse-N1"),
    ],
    ids=["pi5", "pi4", "orin", "laptop", "server"],
)
def test_a_machine_says_what_it_is(tmp_path: Path, files: dict[str, str], processor: str, name: str) -> None:
    found = environment(write(tmp_path, files))
    assert (found.processor, found.name) == (processor, name)


def test_two_power_modes_are_two_machines_and_read_differently(tmp_path: Path) -> None:
    root = write(tmp_path, ORIN)
    largest = environment(root)
    assert (largest.l4t, largest.jetpack, largest.power_mode, largest.clock_cap_mhz) == (
        "36.4.3",
        "6.2",
        "MAXN",
        (),
    )
    write(root, jetson_mode(1))
    small = environment(root)
    assert (small.power_mode, small.clock_cap_mhz) == ("15W", (1113,))
    assert small.name.endswith("(JetPack 6.2, 15W, capped at 1113 MHz)")
    assert small.id != largest.id
    write(root, jetson_mode(0))
    assert environment(root) == largest


@pytest.mark.parametrize(
    "change",
    [
        {"etc/nv_tegra_release": "# R36 (release), REVISION: 4.4, GCID: 1"},
        policy(4, 1_500_000, 2_201_600, "schedutil", "tegra194"),
    ],
    ids=["release", "cap of some cores"],
)
def test_what_limits_a_board_makes_another_machine(tmp_path: Path, change: dict[str, str]) -> None:
    root = write(tmp_path, ORIN)
    before = environment(root)
    after = environment(write(root, change))
    assert after.id != before.id
    assert after.name != before.name


def test_a_release_that_the_table_does_not_know_keeps_its_number(tmp_path: Path) -> None:
    root = write(tmp_path, ORIN | {"etc/nv_tegra_release": "# R99 (release), REVISION: 1.2, GCID: 1"})
    assert environment(root).jetpack == ""
    assert "(L4T 99.1.2, MAXN)" in environment(root).name


def test_the_governor_makes_no_other_machine(tmp_path: Path) -> None:
    root = write(tmp_path, PI5)
    before = environment(root)
    write(root, policy(0, 2_400_000, 2_400_000, "performance", "cpufreq-dt"))
    assert environment(root) == replace(before, governor="performance")


def test_a_limit_that_heat_brings_makes_no_other_machine(tmp_path: Path) -> None:
    root = write(tmp_path, ORIN)
    cool = environment(root)
    write(root, policy(0, 1_200_000, 2_201_600, "schedutil", "tegra194"))
    write(root, thermal({"tj-thermal": 99_500}, {"cpufreq-cpu0": 7}))
    assert environment(root).id == cool.id
    write(root, thermal({"tj-thermal": 60_000}, {"cpufreq-cpu0": 0}))
    assert environment(root).id != cool.id  # somebody else's limit


def test_files_of_nonsense_are_no_error(tmp_path: Path) -> None:
    nonsense = dict.fromkeys((*PI5, *ORIN, *LAPTOP), "\x00?\n") | {FIRMWARE: "x"}
    found = environment(write(tmp_path, nonsense))
    assert (found.clock_cap_mhz, found.power_mode, found.l4t) == ((), "", "")


def test_a_quota_makes_another_machine_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "allowed", lambda: frozenset(range(4)))
    monkeypatch.setattr(machine, "allowed", lambda: frozenset(range(4)))
    mounted = {"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": "1 2 0:3 / /sys/fs/cgroup rw - cgroup2 c rw\n"}
    root = write(tmp_path, LAPTOP | mounted)
    free = environment(root)
    assert (free.cpu_quota, free.cores) == (0.0, 4)
    assert free.id == id_of_schema_6("Intel(R) Core(TM) i7-1165G7 @ 2.80GHz")
    write(root, {"sys/fs/cgroup/cpu.max": "400000 100000\n"})
    assert environment(root) == free, "it limits nothing"
    found = {}
    for granted, count in ((350_000, 3), (250_000, 2), (200_000, 2)):
        write(root, {"sys/fs/cgroup/cpu.max": f"{granted} 100000\n"})
        there = environment(root)
        assert (there.cpu_quota, there.cores) == (granted / 1e5, count)
        assert there.name.endswith(f"(quota of {granted / 1e5:g} cores)")
        found[there.id] = granted
    assert len({*found, free.id}) == 4
