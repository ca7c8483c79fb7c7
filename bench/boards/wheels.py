"""Locked wheels for another machine: of the pins of a lock those that apply there, each checked against its hash."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.boards import targets as boards
from export.child import ROOT
from export.errors import Unavailable, UserError

PLATFORM = re.compile(r"(?:manylinux_(\d+)_(\d+)|linux)_([a-z0-9_]+)")
OLD_NAMES = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
"""glibc 2.x → what its platform was called before PEP 600."""
STUBS = {"tensorrt-cu13-libs": "https://pypi.nvidia.com"}
"""Packages of which the package index holds a source that does nothing but fetch a wheel → where that lies."""


@dataclass(frozen=True)
class Pin:
    """One line of a lock: a version, when it applies (an environment marker, or nothing), and its files' SHA-256."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]

    @property
    def requirement(self) -> str:
        return f"{self.name}=={self.version}"

    def line(self) -> str:
        """As pip reads it, without the marker."""
        return " ".join([self.requirement, *(f"--hash=sha256:{digest}" for digest in self.hashes)])


@dataclass(frozen=True)
class Target:
    """The machine that will be set up: ``python`` "3.12", ``platform`` "manylinux_2_28_x86_64" or "linux_aarch64"."""

    python: str
    platform: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"3\.\d+", self.python):
            raise UserError(f"A Python version is written 3.12, not {self.python!r}.")
        if not PLATFORM.fullmatch(self.platform):
            raise UserError(
                f"Wheels are gathered for Linux, not for {self.platform!r}.",
                "A platform is written manylinux_2_28_x86_64: the oldest glibc that it has, and the processor.",
            )

    @property
    def machine(self) -> str:
        match = PLATFORM.fullmatch(self.platform)
        assert match is not None
        return match[3]

    def platforms(self) -> list[str]:
        """The platforms whose wheels run there: its own, and those of every older glibc."""
        match = PLATFORM.fullmatch(self.platform)
        assert match is not None
        found = []
        if match[1]:
            for minor in range(int(match[2]), 4, -1):
                found.append(f"manylinux_2_{minor}_{self.machine}")
                if minor in OLD_NAMES:
                    found.append(f"{OLD_NAMES[minor]}_{self.machine}")
        return [*found, f"linux_{self.machine}"]

    def environment(self) -> dict[str, str]:
        """What environment markers are evaluated in; pip itself would take the running Python's."""
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{self.python}.0",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": "linux",
        }

    def wanted(self, pin: Pin) -> bool:
        """Whether the pin applies there."""
        from packaging.markers import Marker

        environment: dict[str, str] = self.environment()
        return not pin.marker or Marker(pin.marker).evaluate(environment)

    def options(self) -> list[str]:
        """pip's: wheels that run there, and sources."""
        tags = ["--python-version", self.python, "--implementation", "cp", "--abi", f"cp{self.python.replace('.', '')}"]
        return [*tags, *(part for name in self.platforms() for part in ("--platform", name))]


def pins(text: str) -> list[Pin]:
    """The lines of a lock, as uv writes it.

    Raises:
        UserError: a line is no pin, or has no hash.
    """
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        if not line:
            continue
        said, *hashes = re.split(r"\s+--hash=sha256:", line)
        match = re.fullmatch(r"([A-Za-z0-9._-]+)==([^\s;]+)\s*(?:;\s*(.+))?", said.strip())
        if not match or not hashes:
            raise UserError(f"{said.strip()!r} is not pinned by version and hash.", "", "make lock")
        found.append(Pin(match[1], match[2], match[3] or "", tuple(h.strip() for h in hashes)))
    return found


class Missing(UserError):
    """A package of the lock that cannot be had for the target; the others can."""


def gather(wanted: Sequence[Pin], target: Target, folder: Path) -> Iterator[tuple[Pin, Path | Missing]]:
    """Each pin with its file in ``folder``: the one that is there already, a wheel, or where there is none the source.

    What a vendor's own index holds is not pinned by the lock; its hash is that of the file that came.

    Raises:
        UserError: what came is not the file that was pinned.
        Unavailable: the package index cannot be reached.
    """
    from export.store import sha256_file

    folder.mkdir(parents=True, exist_ok=True)
    there = {sha256_file(file): file for file in folder.iterdir() if file.suffix in (".whl", ".gz", ".zip")}
    for pin in wanted:
        found = next((there[digest] for digest in pin.hashes if digest in there), None)
        if pin.name in STUBS:
            found = next((f for f in there.values() if _is_wheel_of(f.name, pin, target)), None)
        try:
            yield pin, found or _fetched(pin, target, folder)
        except Missing as missing:
            yield pin, missing


def _is_wheel_of(file: str, pin: Pin, target: Target) -> bool:
    named = file.startswith(f"{pin.name.replace('-', '_')}-{pin.version}-")
    return named and any(platform in file for platform in target.platforms())


def _fetched(pin: Pin, target: Target, folder: Path) -> Path:
    """The pin's file, moved into ``folder`` when it is whole."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".part-") as part:
        said = _download(pin, target, Path(part))
        files = list(Path(part).iterdir())
        if len(files) == 1:
            return files[0].replace(folder / files[0].name)
    last = (said.strip().splitlines() or ["pip gave no reason"])[-1]
    if pin.name in STUBS:
        raise Missing(
            f"{pin.requirement} could not be had from {STUBS[pin.name]}.",
            f"The package index holds only a stub of it, which fetches the wheel from there. {last}",
            "the same command where that index can be reached",
        )
    if "No matching distribution" in said:
        raise Missing(
            f"{pin.requirement} has neither wheel nor source for Python {target.python} on {target.platform}.",
            "The lock holds for the platforms that its packages are published for.",
            "another PLATFORM or PYTHON_VERSION; boards on JetPack take NVIDIA's own wheels",
        )
    if "metadata" in said:  # pip asks even a source that is only to be fetched what it is
        raise Missing(
            f"{pin.requirement} has no wheel for Python {target.python} on {target.platform}.",
            "It comes as source, which pip cannot read on this machine.",
            f"pip download --no-deps --no-binary :all: {pin.requirement}, to see what it lacks",
        )
    if "DO NOT MATCH THE HASHES" in said:
        raise UserError(f"{pin.requirement} is not the file that was pinned.", last)
    raise Unavailable(f"{pin.requirement} could not be downloaded.", last, "the same command again")


def _download(pin: Pin, target: Target, folder: Path) -> str:
    """What pip had to complain of; empty where the file came."""
    lock = folder.with_suffix(".txt")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--dest", str(folder), *target.options(), "-r", str(lock)]
    if pin.name in STUBS:
        lock.write_text(f"{pin.requirement}\n")
        command += ["--index-url", STUBS[pin.name], "--only-binary", ":all:"]
    else:
        lock.write_text(f"{pin.line()}\n")
        command.append("--require-hashes")
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    finally:
        lock.unlink()
    return (done.stderr or done.stdout) if done.returncode else ""


LOCK = "edge.txt"
PLAIN = ("numpy", "pillow", "msgspec", "psutil", "filelock")
"""What measuring on a board imports, beside an engine's own packages."""


def locked(target: boards.Target, packages: Iterable[str]) -> list[Pin]:
    """The pins of :data:`PLAIN` and of these packages for a board: the lock has them for every Python.

    Raises:
        UserError: the lock lacks one for this board.
    """
    machine = Target(target.python, target.platform)
    there = {pin.name: pin for pin in pins(_lock().read_text(encoding="utf-8")) if machine.wanted(pin)}
    for name in packages:
        if name not in there:
            raise UserError(
                f"The lock of boards ({LOCK}) has no {name} for {target}.", "", "another engine, or another target"
            )
    return [there[name] for name in (*PLAIN, *sorted(packages))]


def _lock() -> Path:
    """The lock of boards: in a checkout with the others, installed beside this file."""
    checkout = ROOT / "requirements" / LOCK
    return checkout if checkout.exists() else Path(__file__).with_name(LOCK)
