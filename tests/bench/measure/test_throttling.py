from __future__ import annotations

from pathlib import Path

import pytest
from boards import CPU, FIRMWARE, LAPTOP, ORIN, PI4, PI5, policy, thermal, write

from bench.measure import throttling
from bench.measure.throttling import State, Throttling, reasons, state


@pytest.mark.parametrize("files", [PI5, PI4, ORIN, LAPTOP, {}], ids=["pi5", "pi4", "orin", "laptop", "container"])
def test_a_machine_at_rest_does_not_throttle(tmp_path: Path, files: dict[str, str]) -> None:
    root = write(tmp_path, files)
    watched = Throttling(root)
    assert reasons([watched.look(), watched.look(), watched.look(last=True)]) == ()


@pytest.mark.parametrize(
    ("files", "change", "why"),
    [
        (PI5, {FIRMWARE: "1\n"}, ("under-voltage",)),
        (PI5, {FIRMWARE: "50005\n"}, ("under-voltage", "throttled")),
        (PI5, {FIRMWARE: "80000\n"}, ("soft temperature limit",)),
        (PI5, policy(0, 1_500_000, 2_400_000, "ondemand", "cpufreq-dt"), ("clock limit lowered",)),
        (PI5, policy(0, 2_400_000, 2_400_000, "powersave", "cpufreq-dt"), ("governor powersave instead of ondemand",)),
        (ORIN, thermal({}, {"pwm-fan": 3, "gpu-throttle-alert": 1}), ("gpu-throttle-alert",)),
        (ORIN, thermal({}, {"devfreq-17000000.gpu": 4}), ("devfreq-17000000.gpu",)),
        (LAPTOP, {f"{CPU}/cpu1/thermal_throttle/core_throttle_count": "8\n"}, ("thermal throttling",)),
        (LAPTOP, thermal({}, {"Processor": 0, "intel_powerclamp": 20}), ()),
        (ORIN, thermal({}, {"pwm-fan": 7}), ()),
    ],
)
@pytest.mark.parametrize("passes", [False, True])
def test_what_comes_while_it_is_watched_is_seen_even_if_it_goes(
    tmp_path: Path, files: dict[str, str], change: dict[str, str], why: tuple[str, ...], passes: bool
) -> None:
    root = write(tmp_path, files)
    watched = Throttling(root)
    seen = [watched.look()]
    write(root, change)
    seen.append(watched.look())
    if passes:
        write(root, files)
    seen.append(watched.look(last=True))
    assert reasons(seen) == why


def test_what_was_over_before_does_not_count_and_what_goes_on_does(tmp_path: Path) -> None:
    root = write(tmp_path, PI5 | {FIRMWARE: "50000\n"})
    watched = Throttling(root)
    assert reasons([watched.look(), watched.look(last=True)]) == ()
    write(root, {FIRMWARE: "50002\n"})
    assert reasons([Throttling(root).look()]) == ("clock capped by the firmware",)


def test_reasons_are_those_of_the_time_between_two_states() -> None:
    fine, hot, after = State(events=3), State(events=5, cooling=("cpufreq-cpu0",)), State(events=5)
    states = [fine, fine, hot, after, after]
    assert reasons(states, 0, 1) == ()
    assert reasons(states, 1, 2) == ("thermal throttling", "cpufreq-cpu0")
    assert reasons(states, 3, 4) == ()
    assert reasons(states) == ("thermal throttling", "cpufreq-cpu0")
    full, capped = State(limits_mhz=(2400,)), State(limits_mhz=(1500,))
    assert reasons([full, full, capped, capped], 2, 3) == ("clock limit lowered",), "lower than before anything ran"
    assert reasons([full, full, capped, full], 0, 1) == ()


def test_a_raspberry_pi_that_was_not_asked_in_between_answers_for_the_time_between_two_answers() -> None:
    quiet, bits = State(pi=None), [State(pi=0), *[State(pi=None)] * 3, State(pi=1 << 18), *[State(pi=None)] * 2]
    assert reasons([*bits, State(pi=1 << 18)], 1, 2) == ("throttled",)
    assert reasons([*bits, State(pi=1 << 18)], 5, 6) == (), "it was over by then"
    assert reasons([State(pi=4), quiet, quiet], 1, 2) == ("throttled",), "it was so when it was last asked"
    assert reasons([State(pi=0), quiet, quiet], 1, 2) == ()


def test_without_a_file_a_raspberry_pi_is_asked_by_its_command_and_not_at_every_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = tmp_path / "answer"
    root = write(tmp_path, PI4 | {"usr/bin/vcgencmd": f"#!/bin/sh\n[ $1 = get_throttled ] && cat {answer}\n"})
    (root / "usr/bin/vcgencmd").chmod(0o755)
    answer.write_text("throttled=0x50000\n")
    watched = Throttling(root)
    seen = [watched.look()]
    answer.write_text("throttled=0xd0008\n")
    seen.append(watched.look())
    assert reasons(seen) == ()  # it was asked a moment ago
    monkeypatch.setattr(throttling, "ASK_SECONDS", 0.0)
    seen.append(watched.look())
    assert reasons(seen) == ("soft temperature limit",)
    answer.write_text('error=1 error_msg="Command not registered"\n')
    assert state(root).pi == 0
