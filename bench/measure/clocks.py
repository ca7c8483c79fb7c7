"""The processor's clocks, their limits, and who chooses within them. Linux' cpufreq: one policy a group of cores."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from bench.measure import sysfs

POLICIES = "sys/devices/system/cpu/cpufreq"


@dataclass(frozen=True)
class Policy:
    """A group of cores with one clock.

    Attributes:
        limit_mhz, most_mhz: what it may run at now, and what the hardware can.
        governor, driver: who chooses the clock below the limit.
    """

    limit_mhz: int
    most_mhz: int
    governor: str
    driver: str

    @property
    def capped(self) -> bool:
        return self.limit_mhz < self.most_mhz


def policies(root: Path = Path("/")) -> tuple[Policy, ...]:
    """Every group, in the order of its cores; nothing where the system controls no clocks (most virtual machines)."""
    found = []
    for folder in sorted((root / POLICIES).glob("policy[0-9]*"), key=lambda folder: int(folder.name[len("policy") :])):
        limit, most = sysfs.number(folder / "scaling_max_freq"), sysfs.number(folder / "cpuinfo_max_freq")
        if limit and most:
            names = (sysfs.text(folder / name) for name in ("scaling_governor", "scaling_driver"))
            found.append(Policy(limit // 1000, most // 1000, *names))
    return tuple(found)


def cap(found: tuple[Policy, ...]) -> tuple[int, ...]:
    """What the groups are limited to, in MHz, where one is below what it can; one number where all are alike."""
    if not any(policy.capped for policy in found):
        return ()
    limits = tuple(policy.limit_mhz for policy in found)
    return limits[:1] if len(set(limits)) == 1 else limits


def governor(found: tuple[Policy, ...]) -> str:
    """The governors' names, each once."""
    return ", ".join(dict.fromkeys(policy.governor for policy in found if policy.governor))


def now_mhz(cores: Collection[int], root: Path = Path("/")) -> float:
    """The mean clock of these cores at this moment; 0 where the system does not say."""
    cpufreq = root / "sys/devices/system/cpu"
    found = [sysfs.number(cpufreq / f"cpu{core}/cpufreq/scaling_cur_freq") for core in cores]
    clocks = [khz / 1000 for khz in found if khz]
    if not clocks:  # what x86 says of each core, in order
        listed = re.findall(r"^cpu MHz\s*:\s*([\d.]+)$", sysfs.text(root / "proc/cpuinfo"), re.MULTILINE)
        clocks = [float(mhz) for core, mhz in enumerate(listed) if core in cores]
    return sum(clocks) / len(clocks) if clocks else 0.0
