"""What NVIDIA's system on a Jetson says of itself: its release, and the power mode that limits clocks and cores.

Sources: NVIDIA's Jetson Linux archive (release and JetPack), Jetson Linux Developer Guide ("Platform Power and
Performance": nvpmodel).
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.measure import sysfs

JETPACKS = {
    "39.2.1": "7.2.1",
    "39.2.0": "7.2",
    "38.4.0": "7.1",
    "38.2.1": "7.0",
    "38.2.0": "7.0",
    "36.5.2": "6.2.3",
    "36.5.0": "6.2.2",
    "36.4.4": "6.2.1",
    "36.4.3": "6.2",
    "36.4.0": "6.1",
    "36.3.0": "6.0",
    "35.6.1": "5.1.5",
    "35.6.0": "5.1.4",
    "35.5.0": "5.1.3",
    "35.4.1": "5.1.2",
    "35.3.1": "5.1.1",
    "35.2.1": "5.1",
    "35.1.0": "5.0.2",
    "32.7.3": "4.6.3",
    "32.7.2": "4.6.2",
    "32.7.1": "4.6.1",
    "32.6.1": "4.6",
}
"""Release of Jetson Linux (L4T) → JetPack."""


@dataclass(frozen=True)
class PowerMode:
    """One of the board's power modes: what ``nvpmodel -m`` calls it, and its name without ``MODE_``."""

    id: int
    name: str

    @property
    def watts(self) -> float:
        """The budget in its name; without a limit for MAXN, 0 where it names none."""
        if self.name.startswith("MAXN"):
            return float("inf")
        found = re.search(r"(\d+)W", self.name)
        return float(found[1]) if found else 0.0


def release(root: Path = Path("/")) -> str:
    """The release of Jetson Linux, ``36.4.3``; empty where it is another system."""
    found = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", sysfs.text(root / "etc/nv_tegra_release"))
    if not found:
        return ""
    return f"{found[1]}.{found[2]}" if "." in found[2] else f"{found[1]}.{found[2]}.0"


def power_modes(root: Path = Path("/")) -> tuple[PowerMode, ...]:
    """Every mode that the board has, in the order of its configuration."""
    found = re.findall(r"<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=([^\s>]+)\s*>", sysfs.text(root / "etc/nvpmodel.conf"))
    return tuple(PowerMode(int(number), _short(name)) for number, name in found)


def power_mode(root: Path = Path("/")) -> PowerMode | None:
    """The mode that it is in; None where it has none. ``nvpmodel`` keeps its number in a file that all may read; where
    that is missing the command is asked, and where that is missing too, the board starts in its default."""
    modes = {mode.id: mode for mode in power_modes(root)}
    number = _found(r"pmode:(\d+)", sysfs.text(root / "var/lib/nvpmodel/status"))
    if number is None:
        asked = re.search(r"NV Power Mode:\s*(\S+)\s+(\d+)", _queried(root))
        if asked:
            return PowerMode(int(asked[2]), _short(asked[1]))
        number = _found(r"<\s*PM_CONFIG\s+DEFAULT=(\d+)\s*>", sysfs.text(root / "etc/nvpmodel.conf"))
    if number is None:
        return None
    return modes.get(number, PowerMode(number, str(number)))


def largest(root: Path = Path("/")) -> PowerMode | None:
    """The mode with the largest power budget, MAXN where there is one; None where no mode names a budget."""
    return max((mode for mode in power_modes(root) if mode.watts), key=lambda mode: mode.watts, default=None)


def _short(name: str) -> str:
    return name.removeprefix("MODE_")


def _found(pattern: str, said: str) -> int | None:
    found = re.search(pattern, said)
    return int(found[1]) if found else None


def _queried(root: Path) -> str:
    try:
        command = [str(root / "usr/sbin/nvpmodel"), "-q"]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
