"""A kit to a board and its results back, by the ssh, rsync or scp that the user's own settings know."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.boards import kit as kits
from bench.boards.onboard import FILE
from export.errors import UserError
from export.progress import say


def run(folder: Path, board: str) -> Path:
    """Copy the kit to the board's home folder, run it there, fetch its results beside the kit.

    Args:
        board: where ssh finds it, ``user@board``.

    Returns:
        The file to be merged. Where some network failed on the board it is there all the same.

    Raises:
        UserError: the kit is not whole; ssh is not here, or could not reach the board; or the run brought nothing.
    """
    kit = kits.load(folder)
    for program in ("ssh", "scp"):
        if shutil.which(program) is None:
            raise UserError(f"{program} is not installed here.", "", "install OpenSSH's client")
    if board.startswith("-"):
        raise UserError(f"{board!r} is not a board.", "", "--over user@board")
    place = f"backbones-kit-{kit.id[:8]}"
    code = f"{place}/{kits.CODE}"
    if _call(["ssh", board, f"test -e {code}"]):
        say(f"copying the kit to {board}:{place}")
        part = f"{place}.part"
        _must(["ssh", board, f"rm -rf {part}"], f"{board} cannot be reached")
        _must(["scp", "-r", "-q", str(folder), f"{board}:{part}"], "The kit could not be copied")
        _must(["ssh", board, f"mv {part} {place}"], "The kit could not be copied")
    say(f"running it on {board}; what is finished is kept there")
    ended = _call(["ssh", "-t", board, f"python3 {code} run"])
    results = folder.with_name(f"{folder.name}-results.tar")
    _must(["scp", "-q", f"{board}:{place}/results/{FILE}", str(results)], f"The kit on {board} wrote no results")
    if ended:
        say(f"the run on {board} ended with code {ended}; what it brought is merged")
    return results


def _call(command: Sequence[str]) -> int:
    return subprocess.run(command, check=False).returncode


def _must(command: Sequence[str], otherwise: str) -> None:
    if code := _call(command):
        raise UserError(f"{otherwise}.", f"{command[0]} ended with code {code}.", f"{command[0]} by hand")
