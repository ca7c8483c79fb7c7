"""What on this machine would spoil a measurement: looked for before it and after it, each with its remedy."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from bench.measure import clocks, jetson, temperature, throttling
from bench.measure.load import load
from bench.measure.moments import FOREIGN_SHARE
from engines.processor import allowed
from export.store import LEAST_BYTES

NEAR_C = 5.0
"""So near to where it slows down, a chip is hot."""
DYNAMIC = ("intel_pstate", "amd-pstate", "amd-pstate-epp")
"""Drivers whose ``powersave`` follows the load, as others' ``schedutil`` does."""


@dataclass(frozen=True)
class Caution:
    """One thing that would spoil a measurement: a sentence, and what to do about it."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}\nTry: {self.remedy}"


def cautions(folder: Path, seconds: float = 1.0, root: Path = Path("/")) -> tuple[Caution, ...]:
    """Everything that would spoil a measurement now; nothing where all is well.

    Args:
        folder: where results are written; it need not be there yet.
        seconds: how long other processes' load is watched, while this process waits.
        root: where the system's files lie.
    """
    return *_throttled(root), *_clocks(root), *_hot(root), *_foreign(seconds), *_disk(folder)


def _throttled(root: Path) -> list[Caution]:
    now = throttling.state(root)
    before = throttling.meant(((now.pi or 0) & throttling.SINCE_BOOT) >> 16)
    found = []
    if now.now:
        found.append(Caution(f"The machine slows itself down now: {', '.join(now.now)}.", _cure(now.now)))
    if past := [words for words in before if words not in now.now]:
        what = f"The board slowed itself down since it was started: {', '.join(past)}."
        found.append(Caution(what, f"{_cure(past)}; then restart the board, which clears this"))
    return found


def _cure(reasons: tuple[str, ...] | list[str]) -> str:
    if throttling.PI_BITS[0] in reasons:
        return "the board's own power supply (5 V and 5 A for a Raspberry Pi 5, 3 A for a Pi 4), on a short cable"
    return "a fan or a heat sink, and a pause until it is cool"


def _clocks(root: Path) -> list[Caution]:
    mode, largest = jetson.power_mode(root), jetson.largest(root)
    found = []
    if mode and largest and mode.watts < largest.watts:
        what = f"The power mode is {mode.name}; the board has {largest.name}."
        found.append(Caution(what, f"sudo nvpmodel -m {largest.id}, unless {mode.name} is what you want to measure"))
    for policy in dict.fromkeys(clocks.policies(root)):
        if policy.capped and not found:  # a power mode caps clocks, and was said
            limits = f"{policy.limit_mhz} of {policy.most_mhz} MHz"
            command = f"echo {policy.most_mhz * 1000} | sudo tee /{clocks.POLICIES}/policy*/scaling_max_freq"
            found.append(Caution(f"The processor's clock is limited to {limits}.", command))
    if any(p.governor == "powersave" and p.driver not in DYNAMIC for p in clocks.policies(root)):
        what = "The governor powersave keeps the processor at its lowest clock."
        found.append(Caution(what, f"echo performance | sudo tee /{clocks.POLICIES}/policy*/scaling_governor"))
    return found


def _hot(root: Path) -> list[Caution]:
    hottest = max(temperature.zones(root), key=lambda zone: zone.celsius - zone.slow_c, default=None)
    if hottest is None or hottest.celsius < hottest.slow_c - NEAR_C:
        return []
    what = (
        f"{hottest.name or 'The processor'} is at {hottest.celsius:.0f} °C; it slows down at {hottest.slow_c:.0f} °C."
    )
    return [Caution(what, _cure(()))]


def _foreign(seconds: float) -> list[Caution]:
    own, before, start = allowed(), load(allowed()), time.monotonic()
    time.sleep(seconds)
    after, cores = load(own), (time.monotonic() - start) * len(own)
    found = []
    if (share := (after.busy - before.busy) / cores) > FOREIGN_SHARE:
        what = f"Other processes take {min(share, 1.0):.0%} of the processor."
        found.append(Caution(what, "end them (top shows which they are), and a desktop if there is one"))
    if (share := (after.stolen - before.stolen) / cores) > FOREIGN_SHARE:
        what = f"The hypervisor takes {min(share, 1.0):.0%} of the processor for other virtual machines."
        found.append(Caution(what, "a machine, or cores, of one's own"))
    return found


def _disk(folder: Path) -> list[Caution]:
    place = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(place).free
    if free >= LEAST_BYTES:
        return []
    what = f"Only {free / 2**20:.0f} MiB are free where results are written ({place})."
    return [Caution(what, f"free {LEAST_BYTES >> 20} MiB, or name another folder")]
