"""Whether the machine slows itself down: for heat, for a weak power supply, for its power budget.

No two systems say it alike. x86 counts the events. The firmware of a Raspberry Pi answers with bits, of what is so now
and what was so since it started. Elsewhere the kernel lowers clocks as a *cooling device*, whose state above 0 says
that it is at work; a Jetson's thermal alerts are such devices as well. And a limit of the clocks that came while
somebody measured is one, whoever set it.
"""

from __future__ import annotations

import math
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.measure import sysfs
from bench.measure.clocks import governor, policies

PI_BITS = ("under-voltage", "clock capped by the firmware", "throttled", "soft temperature limit")
"""Bits 0 to 3 of a Raspberry Pi's ``get_throttled``: now. Bits 16 to 19: since it started."""
NOW, SINCE_BOOT = 0xF, 0xF << 16
SLOWS = re.compile(r"cpufreq|devfreq|throttle")
"""Kinds of cooling devices that cost speed: ``cpufreq-cpu0``, ``devfreq-17000000.gpu``, ``gpu-throttle-alert``. A fan
costs none, and x86 has counters."""
ASK_SECONDS = 5.0
"""A Raspberry Pi whose kernel has no file for the bits is asked by a command, which costs milliseconds."""


@dataclass(frozen=True)
class State:
    """What is so at one moment.

    Attributes:
        events: x86's thermal throttle events since boot, over all cores.
        pi: a Raspberry Pi's bits; 0 elsewhere, and None of a Raspberry Pi that was not asked.
        cooling: the cooling devices that cost speed now, by kind.
        limits_mhz: what each group of cores may run at. governor: who chooses the clock below that.
    """

    events: int = 0
    pi: int | None = 0
    cooling: tuple[str, ...] = ()
    limits_mhz: tuple[int, ...] = ()
    governor: str = ""

    @property
    def now(self) -> tuple[str, ...]:
        """What slows the machine down at this moment, in words."""
        return *meant(self.pi or 0), *self.cooling


class Throttling:
    """Looks at the machine again and again.

    Args:
        root: where the system's files lie.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root, self._asked = root, -math.inf

    def look(self, last: bool = False) -> State:
        """What is so now; the first time, and with ``last``, nothing that is dear to ask is left out."""
        ask = last or time.monotonic() - self._asked >= ASK_SECONDS
        if ask:
            self._asked = time.monotonic()
        return state(self._root, ask)


def reasons(states: Sequence[State], first: int = 0, last: int = -1) -> tuple[str, ...]:
    """Why the machine was slow at some time between two of the states; nothing where it was not.

    Args:
        states: in order of time; the very first is from before anything was measured. A Raspberry Pi that was asked
            less often answers for the time between two answers.
        first, last: the states just before and just after that time.
    """
    last %= len(states)
    start, between = states[0], states[first : last + 1]
    found: dict[str, None] = {}
    if any(one.events > states[first].events for one in between):
        found["thermal throttling"] = None
    for bits in (asked := _asked(states, first, last)):
        found |= dict.fromkeys((*meant(bits), *meant((bits & ~asked[0]) >> 16)))
    for one in between:
        found |= dict.fromkeys(one.cooling)
        if any(now < then for now, then in zip(one.limits_mhz, start.limits_mhz, strict=False)):
            found["clock limit lowered"] = None
        if one.governor != start.governor:
            found[f"governor {one.governor or 'none'} instead of {start.governor or 'none'}"] = None
    return tuple(found)


def _asked(states: Sequence[State], first: int, last: int) -> list[int]:
    """A Raspberry Pi's bits between two states, from the last answer before to the first after."""
    before, within, after = states[: first + 1], states[first + 1 : last], states[max(last, first + 1) :]
    parts = [[one.pi for one in part if one.pi is not None] for part in (before, within, after)]
    return [*parts[0][-1:], *parts[1], *parts[2][:1]]


def state(root: Path = Path("/"), ask: bool = True) -> State:
    """What is so now; without ``ask`` only what files say."""
    found = policies(root)
    limits = tuple(policy.limit_mhz for policy in found)
    return State(_events(root), pi_bits(root, ask), _cooling(root), limits, governor(found))


def meant(bits: int) -> tuple[str, ...]:
    """A Raspberry Pi's bits 0 to 3 in words."""
    return tuple(words for bit, words in enumerate(PI_BITS) if bits >> bit & 1)


def pi_bits(root: Path = Path("/"), ask: bool = True) -> int | None:
    """A Raspberry Pi's throttle bits, from its kernel's file or, with ``ask``, from its command, and without it then
    None; 0 elsewhere."""
    platform = root / "sys/devices/platform"
    for file in (*platform.glob("*firmware/get_throttled"), *platform.glob("*/*firmware/get_throttled")):
        try:
            return int(sysfs.text(file), 16)
        except ValueError:
            continue
    command = root / "usr/bin/vcgencmd"
    if not command.exists():
        return 0
    if not ask:
        return None
    try:
        said = subprocess.run(
            [command, "get_throttled"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.search(r"throttled=0x([0-9a-fA-F]+)", said)
    return int(found[1], 16) if found else 0


def _events(root: Path) -> int:
    files = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/*_throttle_count")
    return sum(sysfs.number(file) or 0 for file in files)


def _cooling(root: Path) -> tuple[str, ...]:
    found = set()
    for device in (root / "sys/class/thermal").glob("cooling_device[0-9]*"):
        kind = sysfs.text(device / "type")
        if SLOWS.search(kind) and (sysfs.number(device / "cur_state") or 0) > 0:
            found.add(kind)
    return tuple(sorted(found))
