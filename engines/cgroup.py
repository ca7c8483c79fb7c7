"""What a container may take of the processor: the quota of Linux's control groups, of version 1 and version 2.

A group's quota holds for all groups below it together, so that the tightest of a process's own group and those above
it counts. Where a container sees its own group as the root, those above are hidden from it, and unknown.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def quota(root: Path = Path("/")) -> float:
    """How many cores' time this process may use on average; infinite where nothing limits it.

    Args:
        root: where the system's files lie.
    """
    return min(map(_cores, _groups(root)), default=math.inf)


def held_seconds(root: Path = Path("/")) -> float:
    """How long this process's groups were stopped because their quotas were used up, over all cores together, since
    they exist."""
    return sum(map(_held, _groups(root)))


def _groups(root: Path) -> tuple[Path, ...]:
    """The folders that can hold a quota of this process: its own groups', and of those above them what is mounted."""
    return tuple(dict.fromkeys(_folders(root)))


def _folders(root: Path) -> Iterator[Path]:
    own: dict[str, str] = {}  # controller, of version 2 nothing → the group's path
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        own |= dict.fromkeys(controllers.split(","), path)
    for line in _text(root / "proc/self/mountinfo").splitlines():
        mount, _, system = line.partition(" - ")
        fields, (kind, _, options) = mount.split(), (*system.split(), "", "", "")[:3]
        controller = "" if kind == "cgroup2" else "cpu"
        if kind not in ("cgroup", "cgroup2") or controller not in own or len(fields) < 5:
            continue
        if kind == "cgroup" and controller not in options.split(","):
            continue
        folder, within = root / fields[4].lstrip("/"), PurePosixPath(own[controller])
        yield folder
        if within.is_relative_to(fields[3]) and ".." not in within.parts:  # else: another container's view of it
            for name in within.relative_to(fields[3]).parts:
                folder /= name
                yield folder


def _cores(group: Path) -> float:
    both = _text(group / "cpu.max").split()
    if not both:
        both = [_text(group / f"cpu.cfs_{name}_us") for name in ("quota", "period")]
    try:
        granted, period = map(int, both)
    except ValueError:  # "max", or no such file
        return math.inf
    return granted / period if granted > 0 and period > 0 else math.inf  # version 1 says -1 for none


def _held(group: Path) -> float:
    stat = dict(line.split(" ", 1) for line in _text(group / "cpu.stat").splitlines() if " " in line)
    try:
        return int(stat.get("throttled_usec", 0)) / 1e6 + int(stat.get("throttled_time", 0)) / 1e9
    except ValueError:
        return 0.0


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return ""
