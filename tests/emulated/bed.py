"""An aarch64 board on an x86-64 Linux machine: QEMU runs Python's processes over a folder that is the board's ``/``.

Nothing of it is installed and nothing needs root. Packages are fetched by apt from the mirror that this machine is
configured with, and unpacked: QEMU 10, and for each Python the arm64 packages that it needs. Wheels come from pip's own
index. All of it is kept in the user's cache, so that only the first run waits.

Three things make a folder a board. QEMU looks up every absolute path below it first, so that files there are what the
board's kernel and vendor say (``tests/boards.py``). It shows the ``/proc/cpuinfo`` of the core that it emulates; QEMU 7
shows the host's, on which ONNX Runtime dies. And a script stands for Python's executable, so that children start alike.

Emulated times mean nothing: 200 to 550 times those of the host, in no order of engines.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from boards import CPU, write
from filelock import FileLock

from bench.boards.wheels import Target
from export.child import ROOT
from export.places import cache_home

SUITES = {"3.11": "bookworm", "3.13": "trixie"}
"""Python → the Debian release that has it; glibc 2.36 and 2.41."""
GLIBC = {"3.11": "manylinux_2_36_aarch64", "3.13": "manylinux_2_41_aarch64"}
QEMU_SUITE = "trixie"
LIGHT = ("filelock", "msgspec", "numpy", "onnxruntime", "pillow", "psutil", "pyyaml")
"""What the measuring half needs for ONNX Runtime."""
CORES = {"cortex-a72": 0x410FD083, "cortex-a76": 0x414FD0B1, "neoverse-n1": 0x414FD0C1}
"""QEMU's core → its register MIDR_EL1. A Raspberry Pi 4's, without dot product and half precision; a Raspberry Pi 5's,
which has both, as have an Orin's; and a server's."""
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class NoBed(Exception):
    """Why there can be no board here."""


@dataclass(frozen=True)
class Board:
    """A board whose Python runs.

    Attributes:
        python: the program that stands for its ``python3``: a script, which ``sys.executable`` names there.
        root: what it takes for ``/``: files may be written below it at any time.
        site: its packages; they come after whatever ``PYTHONPATH`` a caller gives.
    """

    python: Path
    root: Path
    site: Path | None

    def run(
        self, arguments: Sequence[str | Path], env: Mapping[str, str] | None = None, timeout: float = 300.0
    ) -> subprocess.CompletedProcess[str]:
        """Run its Python with the project's code and the board's packages on its path, and this machine's environment
        but for ``PYTHON*``; ``env`` is added.

        Raises:
            AssertionError: it did not end with code 0; what it printed is the message.
        """
        given = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}
        path = [ROOT, *([self.site] if self.site else [])]
        given |= {"PYTHONPATH": os.pathsep.join(map(str, path)), **(env or {})}
        command = [self.python, *arguments]
        done = subprocess.run(command, env=given, capture_output=True, text=True, timeout=timeout, check=False)
        assert done.returncode == 0, f"code {done.returncode}: {done.stderr[-4000:]}"
        return done


def board(
    folder: Path,
    files: Mapping[str, str],
    python: str = "3.11",
    core: str = "cortex-a76",
    packages: Sequence[str] = LIGHT,
) -> Board:
    """A board of its own in an empty ``folder``.

    Args:
        files: path without the first slash → content: what its kernel and vendor say. ``proc/cpuinfo`` is left out, for
            QEMU knows it.
        core: one of :data:`CORES`.
        packages: distributions, in the versions that are installed here; with none it has Python's own library alone.

    Raises:
        NoBed: it cannot be made here, and why.
    """
    emulator, unpacked = qemu(), python_root(python)
    root = folder / "root"
    shutil.copytree(unpacked, root, symlinks=True)
    write(root, {name: content for name, content in files.items() if name != "proc/cpuinfo"})
    for number in range(os.cpu_count() or 1):  # without it OpenVINO dies as soon as the board has a folder of cores
        write(root, {f"{CPU}/cpu{number}/regs/identification/midr_el1": f"{CORES[core]:#018x}\n"})
    script = folder / f"python{python}"
    script.write_text(
        "#!/bin/sh\n"
        "# Variables for this machine's own programs: OPENBLAS_CORETYPE names one of its cores.\n"
        "unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE QEMU_LD_PREFIX\n"
        f"export PYTHONHOME='{root}/usr' QEMU_CPU={core}\n"
        f"exec '{emulator}' -L '{root}' -0 '{script}' '{root}/usr/bin/python{python}' \"$@\"\n"
    )
    script.chmod(0o755)
    return Board(script, root, site(python, packages) if packages else None)


def qemu() -> Path:
    """``qemu-aarch64``, one static file."""
    name = "qemu-aarch64"

    def make(made: Path) -> None:
        with tempfile.TemporaryDirectory() as unpacked:  # emulators of all processors: half a gigabyte
            _packages(QEMU_SUITE, "amd64", ["qemu-user"], Path(unpacked), alone=True)
            shutil.move(Path(unpacked) / "usr" / "bin" / name, made / name)

    return _kept("qemu", [QEMU_SUITE, name], make) / name


def python_root(python: str) -> Path:
    """Python with its library, glibc, and what compiled packages link with, for arm64."""
    names = [f"python{python}-minimal", f"libpython{python}-stdlib", "libstdc++6", "libgomp1"]
    suite = SUITES[python]

    def make(made: Path) -> None:
        _packages(suite, "arm64", names, made)
        if not (made / "lib").exists():  # where the loader is looked for; Debian 13's packages leave it to base-files
            (made / "lib").symlink_to("usr/lib")

    return _kept(f"python{python}", [suite, *names], make)


def site(python: str, packages: Sequence[str]) -> Path:
    """The packages' aarch64 wheels, and those that they need, unzipped into one folder."""
    pins = sorted(f"{name}=={version(name)}" for name in packages)

    def make(made: Path) -> None:
        tags = [f"--platform={tag}" for tag in Target(python, GLIBC[python]).platforms()]
        only = [f"--python-version={python}", "--implementation=cp", "--only-binary=:all:"]
        with tempfile.TemporaryDirectory() as wheels:
            _called([sys.executable, "-m", "pip", "download", "-qq", "-d", wheels, *tags, *only, *pins])
            for wheel in sorted(Path(wheels).glob("*.whl")):
                with zipfile.ZipFile(wheel) as packed:
                    packed.extractall(made)

    return _kept(f"site{python}", pins, make)


def _kept(name: str, recipe: Sequence[str], make: Callable[[Path], object]) -> Path:
    """The folder that ``make`` fills, once for this recipe and for all test runs of this user."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise NoBed(f"boards are emulated on Linux on x86-64, not on {sys.platform} on {platform.machine()}")
    digest = hashlib.sha256("\n".join(recipe).encode()).hexdigest()[:12]
    bed = cache_home() / "backbones-deployed-test-bed"
    bed.mkdir(parents=True, exist_ok=True)
    folder = bed / f"{name}-{digest}"
    with FileLock(bed / f"{name}-{digest}.lock"):
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=bed, prefix=f".{name}-") as part:
                made = Path(part) / "made"
                made.mkdir()
                make(made)
                made.rename(folder)
    return folder


def _packages(suite: str, architecture: str, names: Sequence[str], into: Path, alone: bool = False) -> None:
    """Debian packages and, unless ``alone``, what they depend on, unpacked: nothing is installed, no script runs."""
    for tool in ("apt-get", "dpkg-deb"):
        if not shutil.which(tool):
            raise NoBed(f"there is no {tool}")
    with tempfile.TemporaryDirectory() as place:
        apt = _apt(Path(place), suite, architecture)
        _called([*apt, "update"])
        fetch = ["download"] if alone else ["--yes", "--download-only", "install"]
        _called([*apt, *fetch, *names], cwd=Path(place))
        for package in (*Path(place).glob("*.deb"), *Path(place).glob("cache/archives/*.deb")):
            _called(["dpkg-deb", "--extract", str(package), str(into)])


def _apt(place: Path, suite: str, architecture: str) -> list[str]:
    """apt-get with state, cache and sources of its own: another release and architecture than this machine's."""
    for folder in ("lists/partial", "cache/archives/partial"):
        (place / folder).mkdir(parents=True)
    (place / "status").touch()
    (place / "sources.list").write_text(f"deb [signed-by={KEYRING}] {_mirror()} {suite} main\n")
    options = {
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
        "Acquire::Retries": "0",
        "Debug::NoLocking": "1",
        "Dir::Cache": str(place / "cache"),
        "Dir::Etc::sourcelist": str(place / "sources.list"),
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State": str(place),
        "Dir::State::lists": str(place / "lists"),
        "Dir::State::status": str(place / "status"),
    }
    return ["apt-get", "-qq", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]


def _mirror() -> str:
    """The Debian mirror that this machine's apt is configured with."""
    asked = ["Created-By: Packages", "Origin: Debian", "Label: Debian"]
    if found := _called(["apt-get", "indextargets", "--format", "$(SITE)", *asked]).split():
        return found[0]
    raise NoBed("apt knows no Debian mirror; apt-get update makes it known")


def _called(command: Sequence[str], cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"code {done.returncode}"])[-1]
        raise NoBed(f"{' '.join(command[:1])} failed: {last}")
    return done.stdout
