from __future__ import annotations

import pytest
from boards import arm_cores

from bench.measure.arm import name

A55, A76, A78, UNKNOWN = (0x41, 0xD05), (0x41, 0xD0B), (0x41, 0xD41), (0x41, 0xFFF)


@pytest.mark.parametrize(
    ("cores", "called"),
    [
        ([A76] * 4, "Cortex-A76"),
        ([A55] * 4 + [A76] * 4, "4x Cortex-A76 + 4x Cortex-A55"),
        ([A55] * 4 + [A78] * 2 + [A76] * 2, "2x Cortex-A78 + 2x Cortex-A76 + 4x Cortex-A55"),
        ([(0x41, 0xD0C)] * 2, "Neoverse-N1"),
        ([(0x41, 0xD49)] * 2, "Neoverse-N2"),
        ([(0x6D, 0xD49)] * 2, "Microsoft Azure Cobalt 100"),
        ([(0x61, 0x022)] * 4 + [(0x61, 0x023)] * 4, "4x Apple M1 Firestorm + 4x Apple M1 Icestorm"),
        ([(0x4E, 0x004)] * 8, "NVIDIA Carmel"),
        ([UNKNOWN], "Arm core 0x41/0xfff"),
        ([(0x99, 0x1), A76], "1x Cortex-A76 + 1x Arm core 0x99/0x001"),
    ],
)
def test_every_kind_of_core_is_named_and_an_unknown_one_keeps_its_numbers(
    cores: list[tuple[int, int]], called: str
) -> None:
    assert name(arm_cores(*cores)) == called


@pytest.mark.parametrize("text", ["", "model name\t: Some CPU\n", "CPU part\t: 0xd0b\n", "CPU implementer\t: none\n"])
def test_a_text_of_no_arm_processor_names_nothing(text: str) -> None:
    assert name(text) == ""
