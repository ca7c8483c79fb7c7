"""``kit.pyz``: unpacks the kit on the board and starts it. Python's own library alone, and old Python's syntax."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any, NoReturn

UNPACKED = "unpacked"
WHEELS = "wheels"


def main(pyz: Path) -> None:
    """Check the board, unpack once, and become the kit's own program."""
    folder = pyz.parent
    if len(sys.argv) < 2:
        sys.argv.append("--help")
    try:
        kit = json.loads((folder / "kit.json").read_text(encoding="utf-8"))
        target = kit["target"]
        why = refused(target)
    except (OSError, ValueError, KeyError):
        stop("This is not a kit: kit.json beside kit.pyz cannot be read.", "copy the whole folder")
    if why:
        stop(f"This kit is for {target['board']}. {why}", f"bob kit pack --target {suggested()}")
    place = folder / UNPACKED / kit["id"][:8]
    try:
        if not place.exists():
            unpack(pyz, folder, kit, place)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            stop("No space left on the disk while the kit is unpacked.", "free 200 MB, or copy it to a larger disk")
        stop(f"The kit cannot be unpacked: {error}.", "copy the kit to a folder that can be written")
    kept = "PYTHONHOME"  # of an interpreter that needs it to find its own library
    environment = {name: text for name, text in os.environ.items() if name == kept or not name.startswith("PYTHON")}
    environment["PYTHONPATH"] = os.pathsep.join([str(place / "code"), str(place / "site")])
    environment["PYTHONNOUSERSITE"] = "1"
    code = "import sys; del sys.path[0]; from bench.boards.onboard import cli; cli()"  # not from the working folder
    program = [sys.executable, "-c", code, str(folder)]
    os.execve(sys.executable, program + sys.argv[1:], environment)


def refused(target: dict[str, Any]) -> str:
    """Why this machine cannot run a kit for that target; empty where it can."""
    python = ".".join(map(str, sys.version_info[:2]))
    if python != target["python"]:
        return f"It needs Python {target['python']}; this is {python}."
    if platform.machine() != target["machine"]:
        return f"It needs a processor of type {target['machine']}; this is {platform.machine()}."
    library, version = platform.libc_ver()
    if library != "glibc":
        return "It needs the GNU C library, which this system does not have."
    if tuple(map(int, version.split(".")[:2])) < tuple(target["glibc"]):
        return f"It needs glibc {'.'.join(map(str, target['glibc']))}; this is {version}."
    return ""


def suggested() -> str:
    """The target that fits this machine."""
    version = (platform.libc_ver()[1] or "2.28").replace(".", "_")
    python = ".".join(map(str, sys.version_info[:2]))
    return f"py{python}-manylinux_{version}_{platform.machine()}"


def unpack(pyz: Path, folder: Path, kit: dict[str, Any], place: Path) -> None:
    """The code and the wheels, each wheel compared with its hash, in a folder that appears when it is whole."""
    print("unpacking the kit ...", file=sys.stderr)
    place.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix="." + place.name + ".", dir=str(place.parent)))  # another start has its own
    try:
        extract(pyz, folder, kit, part)
    except BaseException:
        shutil.rmtree(str(part), ignore_errors=True)
        raise
    part.chmod(0o755)
    try:
        part.rename(place)
    except OSError:
        shutil.rmtree(str(part), ignore_errors=True)
        if not place.exists():  # another start was first
            raise


def extract(pyz: Path, folder: Path, kit: dict[str, Any], part: Path) -> None:
    """The code, and every wheel of the kit."""
    with zipfile.ZipFile(str(pyz)) as code:
        code.extractall(str(part / "code"))
    for name in sorted(kit["files"]):
        if name.startswith(WHEELS + "/"):
            wheel = folder / name
            if not wheel.exists() or hashlib.sha256(wheel.read_bytes()).hexdigest() != kit["files"][name]:
                stop(f"{name} is missing, or was changed after the kit was packed.", "copy the kit again")
            with zipfile.ZipFile(str(wheel)) as packed:
                members = [member for member in packed.namelist() if "/tests/" not in member]  # half of numpy's
                packed.extractall(str(part / "site"), members)


def stop(what: str, remedy: str) -> NoReturn:
    """Say what is wrong and what to try; exit code 2."""
    print(f"error: {what}\nTry: {remedy}", file=sys.stderr)
    sys.exit(2)
