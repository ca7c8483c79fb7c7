"""A shipped folder on its own: its files are whole, and its self-test passes in an environment with nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.shipping.bundle import SUMS, sums
from export.errors import CellError, UserError


@dataclass(frozen=True)
class Checked:
    """What the check saw.

    Attributes:
        seconds: in all. installed_mib: what the packages take, without pip itself.
        said: the self-test's last line.
    """

    seconds: float
    installed_mib: float
    said: str


def check(folder: Path) -> Checked:
    """Check the sums, make an environment of what requirements.txt names, and run the self-test in it.

    Raises:
        UserError: it is no shipped folder, a file was changed, is missing or was added; or the packages cannot be
            installed. CellError: the self-test failed.
    """
    begin = time.perf_counter()
    require_whole(folder)
    with tempfile.TemporaryDirectory(prefix="backbones-") as place:
        bare = Path(place, "env")
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
        }
        _run([sys.executable, "-m", "venv", "--without-pip", str(bare)], environment, "make an environment")
        python = bare / "bin" / "python"
        pip = [
            sys.executable,
            "-m",
            "pip",
            "--python",
            str(python),
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]
        needed = ["--no-compile", "--only-binary", ":all:", "--requirement", str(folder.resolve() / "requirements.txt")]
        _run([*pip, *needed], dict(os.environ), "install the packages of requirements.txt")
        size = sum(file.stat().st_size for file in bare.joinpath("lib").rglob("*") if file.is_file()) / 2**20
        test = [str(python), "-B", str(folder.resolve() / "predict.py"), "--self-test"]
        done = subprocess.run(test, env=environment, cwd=place, capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).strip().splitlines() or ["It said nothing."]
    if done.returncode:
        raise CellError(f"The self-test of {folder} failed.", " ".join(lines[:3]))
    return Checked(time.perf_counter() - begin, size, lines[-1])


def require_whole(folder: Path) -> None:
    """Refuse a folder whose files are not those that were written.

    Raises:
        UserError: it is no shipped folder; or names the first file that was changed, is missing or was added.
    """
    listed = folder / SUMS
    if not listed.is_file():
        raise UserError(f"{folder} is no shipped folder.", f"It has no {SUMS}.", "bob ship")
    lines = [line.partition("  ") for line in listed.read_text(encoding="utf-8").splitlines() if line]
    wanted, found = {name: digest for digest, _, name in lines}, sums(folder)
    for state, names in (
        ("missing", wanted.keys() - found.keys()),
        ("changed since it was shipped", {name for name in wanted if found.get(name, wanted[name]) != wanted[name]}),
        ("not one that was shipped", found.keys() - wanted.keys()),
    ):
        if names:
            more = f", and {len(names) - 1} more" if len(names) > 1 else ""
            raise UserError(f"{min(names)} in {folder} is {state}{more}.", "", "ship the cell again: bob ship")


def _run(command: list[str], environment: dict[str, str], doing: str) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["It said nothing."]
        raise UserError(f"Cannot {doing}.", lines[-1], "a network, or wheels in PIP_FIND_LINKS")
