"""``make wheels DEST=…``: all that a machine without a network needs, in one folder.

The locked requirements for another machine's Python and platform, as wheels, each checked against its pinned hash; the
project's own wheel; and how to install them. Run again, it fetches what is missing.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from export.command import console, new_parser
from export.errors import Unavailable, UserError

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / "requirements" / "gpu.txt"
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


def build_own(folder: Path, root: Path = ROOT) -> Path:
    """The project's own wheel.

    Raises:
        UserError: this is no checkout of the project, or it does not build.
    """
    if not (root / "pyproject.toml").exists():
        raise UserError("The project's own wheel is built from its sources, and they are not here.", str(root))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    with tempfile.TemporaryDirectory(dir=folder, prefix=".part-") as part:
        done = subprocess.run([*command, "-w", part, str(root)], capture_output=True, text=True)
        files = list(Path(part).glob("*.whl"))
        if done.returncode or len(files) != 1:
            last = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
            raise UserError("The project's own wheel could not be built.", last)
        return files[0].replace(folder / files[0].name)


def instructions(target: Target, lock: str, own: str, sources: Sequence[str], missing: Sequence[Missing] = ()) -> str:
    """What to do on the machine that has no network. ``lock`` pins the wheels; ``sources`` are files to be built."""
    pip = "    .venv/bin/pip install --no-index --no-deps"
    lines = [
        f"For Python {target.python} on {target.platform}. In this folder:",
        "",
        f"    python{target.python} -m venv .venv",
        f"{pip} --find-links . --require-hashes -r {lock}",
        *(f"{pip} --no-build-isolation {file}" for file in sources),
        f"{pip} {own}",
        "    .venv/bin/bob engines",
    ]
    if sources:
        lines += [
            "",
            "What ends in .tar.gz has no wheel and is built there. That needs a C++ compiler; pycuda also needs the",
            "CUDA toolkit, with cuda.h, and its nvcc on the PATH.",
        ]
    if missing:
        lines += ["", "Not in this folder:", *(f"    {one.what} {one.why}" for one in missing)]
    return "\n".join([*lines, ""])


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = new_parser("requirements.wheels", "All that a machine without a network needs, in one folder.")
    p.add_argument("dest", type=Path, metavar="DEST", help="the folder; made where it is not there")
    p.add_argument("--python-version", default="3.12", metavar="3.12", help="the other machine's Python")
    p.add_argument("--platform", default="manylinux_2_28_x86_64", metavar="TAG", help="its glibc and processor")
    p.add_argument("--requirements", type=Path, default=REQUIREMENTS, metavar="FILE", help="a lock (gpu.txt)")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Gather, build, write the instructions, and say the size; 1 where a package could not be had."""
    args = parser().parse_args(argv)
    from export.progress import say
    from export.store import sha256_file

    target = Target(args.python_version, args.platform)
    try:
        wanted = [pin for pin in pins(args.requirements.read_text()) if target.wanted(pin)]
    except OSError as error:
        raise UserError(f"The lock {args.requirements} cannot be read.", str(error)) from error
    wheels, sources, missing, size = [], [], [], 0
    for number, (pin, file) in enumerate(gather(wanted, target, args.dest), 1):
        if isinstance(file, Missing):
            missing.append(file)
            say(f"[{number}/{len(wanted)}] {file.what}")
            continue
        size += file.stat().st_size
        if file.suffix == ".whl":
            wheels.append(pin if pin.name not in STUBS else replace(pin, hashes=(sha256_file(file),)))
        else:
            sources.append(file.name)
        say(f"[{number}/{len(wanted)}] {file.name}")
    own = build_own(args.dest)
    lock = args.dest / args.requirements.name
    lock.write_text("".join(f"{pin.line()}\n" for pin in wheels))
    (args.dest / "INSTALL.txt").write_text(instructions(target, lock.name, own.name, sources, missing))
    for one in missing:
        print(f"error: {one}", file=sys.stderr)
    total = (size + own.stat().st_size) / 2**20
    count = len(wheels) + len(sources) + 1
    print(f"{count} files, {total:,.0f} MiB; {args.dest / 'INSTALL.txt'} says how to install them")
    return 1 if missing else 0


cli = console(main)

if __name__ == "__main__":
    cli()
