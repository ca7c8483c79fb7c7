"""The boards that kits are made for: their Python, processor and C library, which decide the wheels."""

from __future__ import annotations

import platform
import re
import sys
from dataclasses import dataclass

from export.errors import UserError, unknown


@dataclass(frozen=True)
class Target:
    """What a kit is made for.

    Attributes:
        name: as asked for. board: in words.
        python: "3.11". machine: as the system calls it, "aarch64". glibc: the least version, (2, 35).
    """

    name: str
    board: str
    python: str
    machine: str
    glibc: tuple[int, int]

    @property
    def platform(self) -> str:
        """The platform of wheels that run there: ``manylinux_2_35_aarch64``."""
        return f"manylinux_{self.glibc[0]}_{self.glibc[1]}_{self.machine}"

    def __str__(self) -> str:
        return f"{self.board} (Python {self.python}, {self.machine}, glibc {self.glibc[0]}.{self.glibc[1]})"


TARGETS = {
    target.name: target
    for target in (
        Target("pi5", "Raspberry Pi 5, Raspberry Pi OS 13 (trixie)", "3.13", "aarch64", (2, 41)),
        Target("pi5-bookworm", "Raspberry Pi 5, Raspberry Pi OS 12 (bookworm)", "3.11", "aarch64", (2, 36)),
        Target("pi4", "Raspberry Pi 4, 64-bit Raspberry Pi OS 13 (trixie)", "3.13", "aarch64", (2, 41)),
        Target("pi4-bookworm", "Raspberry Pi 4, 64-bit Raspberry Pi OS 12 (bookworm)", "3.11", "aarch64", (2, 36)),
        Target("jp6", "Jetson, JetPack 6", "3.10", "aarch64", (2, 35)),
        Target("jp7", "Jetson, JetPack 7", "3.12", "aarch64", (2, 39)),
    )
}
HERE = "here"
_FORM = re.compile(r"py(3\.\d+)-manylinux_(\d+)_(\d+)_(\w+)")


def target(name: str) -> Target:
    """A board by name, ``here`` for this machine, or any other as ``py3.11-manylinux_2_28_aarch64``.

    Raises:
        UserError: it is none of these; or ``here`` is not a Linux with the GNU C library.
    """
    if name in TARGETS:
        return TARGETS[name]
    if name == HERE:
        return _here()
    if found := _FORM.fullmatch(name):
        return Target(name, "another board", found[1], found[4], (int(found[2]), int(found[3])))
    error = unknown("target", name, [*TARGETS, HERE])
    raise UserError(error.what, error.why, "for any other board: --target py3.11-manylinux_2_28_aarch64")


def _here() -> Target:
    library, version = platform.libc_ver()
    if sys.platform != "linux" or library != "glibc":
        raise UserError("Kits are made for Linux with the GNU C library, which this machine does not have.")
    major, minor = map(int, version.split(".")[:2])
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return Target(HERE, "the machine that it was packed on", python, platform.machine(), (major, minor))
