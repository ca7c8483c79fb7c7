from __future__ import annotations

from pathlib import Path

import pytest
from boards import CPU, FIRMWARE, LAPTOP, ORIN, PI4, PI5, policy, thermal, write

from bench.measure import throttling
from bench.measure.throttling import Throttling, state


@pytest.mark.parametrize("files", [PI5, PI4, ORIN, LAPTOP, {}], ids=["pi5", "pi4", "orin", "laptop", "container"])
def test_a_machine_at_rest_does_not_throttle(tmp_path: Path, files: dict[str, str]) -> None:
    root = write(tmp_path, files)
    watched = Throttling(root)
    watched.look()
    watched.look(last=True)
    assert watched.reasons() == ()


@pytest.mark.parametrize(
    ("files", "change", "reasons"),
    [
        (PI5, {FIRMWARE: "1\n"}, ("under-voltage",)),
        (PI5, {FIRMWARE: "50005\n"}, ("under-voltage", "throttled")),
        (PI5, {FIRMWARE: "80000\n"}, ("soft temperature limit",)),
        (PI5, policy(0, 1_500_000, 2_400_000, "ondemand", "cpufreq-dt"), ("clock limit lowered",)),
        (ORIN, thermal({}, {"pwm-fan": 3, "gpu-throttle-alert": 1}), ("gpu-throttle-alert",)),
        (ORIN, thermal({}, {"devfreq-17000000.gpu": 4}), ("devfreq-17000000.gpu",)),
        (LAPTOP, {f"{CPU}/cpu1/thermal_throttle/core_throttle_count": "8\n"}, ("thermal throttling",)),
        (LAPTOP, thermal({}, {"Processor": 0, "intel_powerclamp": 20}), ()),
        (ORIN, thermal({}, {"pwm-fan": 7}), ()),
    ],
)
@pytest.mark.parametrize("passes", [False, True])
def test_what_comes_while_it_is_watched_is_seen_even_if_it_goes(
    tmp_path: Path, files: dict[str, str], change: dict[str, str], reasons: tuple[str, ...], passes: bool
) -> None:
    root = write(tmp_path, files)
    watched = Throttling(root)
    write(root, change)
    watched.look()
    if passes:
        write(root, files)
    watched.look(last=True)
    assert watched.reasons() == reasons


def test_what_was_over_before_does_not_count_and_what_goes_on_does(tmp_path: Path) -> None:
    root = write(tmp_path, PI5 | {FIRMWARE: "50000\n"})
    watched = Throttling(root)
    watched.look(last=True)
    assert watched.reasons() == ()
    write(root, {FIRMWARE: "50002\n"})
    assert Throttling(root).reasons() == ("clock capped by the firmware",)


def test_without_a_file_a_raspberry_pi_is_asked_by_its_command_and_not_at_every_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = tmp_path / "answer"
    root = write(tmp_path, PI4 | {"usr/bin/vcgencmd": f"#!/bin/sh\n[ $1 = get_throttled ] && cat {answer}\n"})
    (root / "usr/bin/vcgencmd").chmod(0o755)
    answer.write_text("throttled=0x50000\n")
    watched = Throttling(root)
    answer.write_text("throttled=0xd0008\n")
    watched.look()
    assert watched.reasons() == ()  # it was asked a moment ago
    monkeypatch.setattr(throttling, "ASK_SECONDS", 0.0)
    watched.look()
    assert watched.reasons() == ("soft temperature limit",)
    answer.write_text('error=1 error_msg="Command not registered"\n')
    assert state(root).pi == 0
