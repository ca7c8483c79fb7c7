from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from boards import FIRMWARE, LAPTOP, ORIN, PI4, PI5, jetson_mode, policy, thermal, write

from bench.measure import guards
from bench.measure.guards import Caution, cautions

BURN = "while True: pass"


def said(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[Caution]:
    """What is said of the board; other processes of the machine that tests run on are left out."""
    monkeypatch.setattr(guards, "FOREIGN_SHARE", math.inf)
    return list(cautions(root, 0.01, root))


@pytest.mark.parametrize("files", [PI5, PI4, ORIN, LAPTOP, {}], ids=["pi5", "pi4", "orin", "laptop", "container"])
def test_nothing_is_said_of_a_machine_at_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str]
) -> None:
    assert said(write(tmp_path, files), monkeypatch) == []


@pytest.mark.parametrize(
    ("files", "what", "remedy"),
    [
        (
            PI5 | {FIRMWARE: "50001"},
            ["slows itself down now: under-voltage.", "since it was started: throttled."],
            "5 V",
        ),
        (PI5 | {FIRMWARE: "50000"}, ["since it was started: under-voltage, throttled."], "restart the board"),
        (PI5 | {FIRMWARE: "80008"}, ["slows itself down now: soft temperature limit."], "heat sink"),
        (PI5 | policy(0, 1_500_000, 2_400_000, "ondemand", "x"), ["limited to 1500 of 2400 MHz."], "echo 2400000"),
        (PI5 | policy(0, 2_400_000, 2_400_000, "powersave", "cpufreq-dt"), ["governor powersave"], "echo performance"),
        (PI5 | thermal({"cpu-thermal": 76_000}, {}), ["cpu-thermal is at 76 °C; it slows down at 80 °C."], "fan"),
        (ORIN | thermal({"tj-thermal": 95_000}, {}), ["tj-thermal is at 95 °C; it slows down at 99 °C."], "fan"),
        (ORIN | thermal({}, {"gpu-throttle-alert": 1}), ["slows itself down now: gpu-throttle-alert."], "fan"),
        (ORIN | jetson_mode(1), ["The power mode is 15W; the board has MAXN."], "sudo nvpmodel -m 0"),
    ],
)
def test_what_would_spoil_a_measurement_is_said_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], what: list[str], remedy: str
) -> None:
    found = said(write(tmp_path, files), monkeypatch)
    assert len(found) == len(what)
    for caution, words in zip(found, what, strict=True):
        assert words in caution.what
    assert remedy in found[0].remedy
    assert str(found[0]) == f"{found[0].what}\nTry: {found[0].remedy}"


def test_a_busy_machine_is_said_even_if_what_runs_has_a_low_priority(tmp_path: Path) -> None:
    neighbours = [subprocess.Popen(["nice", "-n", "5", sys.executable, "-c", BURN]) for _ in range(os.cpu_count() or 1)]
    try:
        found = cautions(tmp_path, 0.5, tmp_path)
    finally:
        for neighbour in neighbours:
            neighbour.kill()
            neighbour.wait()
    assert [c.what for c in found if c.what.startswith("Other processes take ")]


def test_a_full_disk_is_said_of_a_folder_that_is_not_there_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "FOREIGN_SHARE", math.inf)
    monkeypatch.setattr(guards, "LEAST_BYTES", 1 << 62)
    (caution,) = cautions(tmp_path / "results" / "deep", 0.01, tmp_path)
    assert caution.what.endswith(f" MiB are free where results are written ({tmp_path}).")
