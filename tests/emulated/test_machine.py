"""The machine as the real program sees it on boards that are dressed up by files."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from boards import FIRMWARE, ORIN, PI4, PI5, jetson_mode, policy, thermal, write
from emulated.bed import Board

from bench.records.parts import Environment

pytestmark = [pytest.mark.slow, pytest.mark.network]
ENVIRONMENT = (
    "import msgspec, sys; from bench.measure.machine import environment; "
    "sys.stdout.buffer.write(msgspec.json.encode(environment()))"
)
CAUTIONS = (
    "from pathlib import Path; from bench.measure.guards import cautions; print(*cautions(Path('.'), 0.1), sep='\\n')"
)


def environment(board: Board) -> Environment:
    return msgspec.json.decode(board.run(["-c", ENVIRONMENT]).stdout, type=Environment)


@pytest.mark.parametrize(
    ("files", "core", "python", "processor", "name"),
    [
        (PI4, "cortex-a72", "3.11", "Cortex-A72", "Raspberry Pi 4 Model B Rev 1.4"),
        (PI5, "cortex-a76", "3.13", "Cortex-A76", "Raspberry Pi 5 Model B Rev 1.0"),
        (PI5, "neoverse-n1", "3.11", "Neoverse-N1", "Raspberry Pi 5 Model B Rev 1.0"),
    ],
)
def test_a_board_is_called_by_its_name(
    make_board: Callable[..., Board], files: dict[str, str], core: str, python: str, processor: str, name: str
) -> None:
    found = environment(make_board(files, python, core))
    assert (found.processor, found.board, found.name, found.architecture) == (processor, name, name, "aarch64")
    assert (found.governor, found.clock_cap_mhz, found.power_mode) == ("ondemand", (), "")
    assert found.python.startswith(python)


def test_two_power_modes_of_an_orin_are_two_machines(make_board: Callable[..., Board]) -> None:
    board = make_board(ORIN)
    largest = environment(board)
    assert (largest.jetpack, largest.l4t, largest.power_mode) == ("6.2", "36.4.3", "MAXN")
    write(board.root, jetson_mode(1))
    small = environment(board)
    assert small.name == "NVIDIA Jetson AGX Orin Developer Kit (JetPack 6.2, 15W, capped at 1113 MHz)"
    assert small.id != largest.id


def test_a_board_warns_before_it_measures(make_board: Callable[..., Board]) -> None:
    board = make_board(PI5)
    write(board.root, {FIRMWARE: "50001\n"})
    write(board.root, thermal({"cpu-thermal": 79_000}, {"pwm-fan": 4}))
    write(board.root, policy(0, 1_500_000, 2_400_000, "ondemand", "cpufreq-dt"))
    said = board.run(["-c", CAUTIONS]).stdout
    for words in ("under-voltage", "limited to 1500 of 2400 MHz", "cpu-thermal is at 79 °C"):
        assert words in said
