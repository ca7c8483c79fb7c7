"""What cores did since the system started, all processes together: the work, and what a hypervisor took of them."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from bench.measure import sysfs

FIELDS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
"""Of a line of Linux's ``/proc/stat``, in ticks. Time of processes with a lower priority stands under ``nice``, and a
guest's own time is within ``user`` and ``nice``."""
BUSY = ("user", "nice", "system", "irq", "softirq")


@dataclass(frozen=True)
class Load:
    """Seconds since the system started, over some cores together.

    Attributes:
        busy: they worked, for whichever process.
        stolen: a process wanted to run, and the hypervisor ran another virtual machine.
    """

    busy: float
    stolen: float = 0.0


def load(cores: Collection[int] = (), root: Path = Path("/")) -> Load:
    """What these cores did; all of the machine's where none are named, or where the system does not tell them apart.

    Args:
        cores: their numbers. root: where the system's files lie.
    """
    lines = [line.split() for line in sysfs.text(root / "proc/stat").splitlines() if line.startswith("cpu")]
    named = [line for line in lines if line[0] in {f"cpu{core}" for core in cores}]
    ticks = dict.fromkeys(FIELDS, 0)
    for line in named or lines[:1]:  # the first is the sum
        for name, value in zip(FIELDS, line[1:], strict=False):
            ticks[name] += int(value)
    if not lines:
        return _elsewhere()
    second = os.sysconf("SC_CLK_TCK")
    return Load(sum(ticks[name] for name in BUSY) / second, ticks["steal"] / second)


def _elsewhere() -> Load:
    import psutil

    times = psutil.cpu_times()
    return Load(sum(getattr(times, name, 0.0) for name in BUSY))
