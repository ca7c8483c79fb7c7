"""The names of Arm processors: Linux gives numbers, of who designed a core and which one it is.

The numbers are those of the register MIDR_EL1. Sources: Arm's technical reference manuals, Linux'
``arch/arm64/include/asm/cputype.h``, and the tables of util-linux's ``lscpu``.
"""

from __future__ import annotations

from collections import Counter

CORES: dict[int, dict[int, str]] = {
    0x41: {
        0xD02: "Cortex-A34",
        0xD03: "Cortex-A53",
        0xD04: "Cortex-A35",
        0xD05: "Cortex-A55",
        0xD06: "Cortex-A65",
        0xD07: "Cortex-A57",
        0xD08: "Cortex-A72",
        0xD09: "Cortex-A73",
        0xD0A: "Cortex-A75",
        0xD0B: "Cortex-A76",
        0xD0C: "Neoverse-N1",
        0xD0D: "Cortex-A77",
        0xD0E: "Cortex-A76AE",
        0xD40: "Neoverse-V1",
        0xD41: "Cortex-A78",
        0xD42: "Cortex-A78AE",
        0xD43: "Cortex-A65AE",
        0xD44: "Cortex-X1",
        0xD46: "Cortex-A510",
        0xD47: "Cortex-A710",
        0xD48: "Cortex-X2",
        0xD49: "Neoverse-N2",
        0xD4A: "Neoverse-E1",
        0xD4B: "Cortex-A78C",
        0xD4C: "Cortex-X1C",
        0xD4D: "Cortex-A715",
        0xD4E: "Cortex-X3",
        0xD4F: "Neoverse-V2",
        0xD80: "Cortex-A520",
        0xD81: "Cortex-A720",
        0xD82: "Cortex-X4",
        0xD83: "Neoverse-V3AE",
        0xD84: "Neoverse-V3",
        0xD85: "Cortex-X925",
        0xD87: "Cortex-A725",
        0xD8E: "Neoverse-N3",
    },
    0x42: {
        0x100: "Broadcom Brahma-B53",
    },
    0x43: {
        0x0A1: "Cavium ThunderX",
        0x0AF: "Cavium ThunderX2",
    },
    0x46: {
        0x001: "Fujitsu A64FX",
    },
    0x48: {
        0xD01: "HiSilicon Kunpeng 920",
    },
    0x4E: {
        0x000: "NVIDIA Denver",
        0x003: "NVIDIA Denver 2",
        0x004: "NVIDIA Carmel",
    },
    0x51: {
        0x001: "Qualcomm Oryon",
        0x802: "Qualcomm Kryo 3xx Gold",
        0x803: "Qualcomm Kryo 3xx Silver",
        0x804: "Qualcomm Kryo 4xx Gold",
        0x805: "Qualcomm Kryo 4xx Silver",
    },
    0x6D: {
        0xD49: "Microsoft Azure Cobalt 100",
    },
    0x61: {
        0x022: "Apple M1 Icestorm",
        0x023: "Apple M1 Firestorm",
        0x024: "Apple M1 Pro Icestorm",
        0x025: "Apple M1 Pro Firestorm",
        0x028: "Apple M1 Max Icestorm",
        0x029: "Apple M1 Max Firestorm",
        0x032: "Apple M2 Blizzard",
        0x033: "Apple M2 Avalanche",
    },
    0xC0: {
        0xAC3: "Ampere AmpereOne",
        0xAC4: "Ampere AmpereOne A",
    },
}
"""Implementer → part → name. Cores that Arm designed go by its names alone."""


def name(cpuinfo: str) -> str:
    """The kinds of cores in the text of ``/proc/cpuinfo``, the fastest first: ``4x Cortex-A76 + 4x Cortex-A55``.

    One kind has no count. A core that is not in the table keeps its numbers. Empty where the text is not of an Arm
    processor. Only cores that are switched on are listed by Linux.
    """
    implementers = [n for line in cpuinfo.splitlines() if (n := _number(line, "CPU implementer")) is not None]
    parts = [n for line in cpuinfo.splitlines() if (n := _number(line, "CPU part")) is not None]
    counts = Counter(zip(implementers, parts))  # noqa: B905 (a text that was cut off names what is there)
    kinds = sorted(counts, key=lambda core: -core[1])  # of one chip, the larger core has the larger number
    if len(kinds) == 1:
        return _called(*kinds[0])
    return " + ".join(f"{counts[kind]}x {_called(*kind)}" for kind in kinds)


def _called(implementer: int, part: int) -> str:
    return CORES.get(implementer, {}).get(part, f"Arm core {implementer:#04x}/{part:#05x}")


def _number(line: str, field: str) -> int | None:
    name, _, value = line.partition(":")
    try:
        return int(value, 16) if name.strip() == field else None
    except ValueError:
        return None
