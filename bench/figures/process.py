"""How long a command of this project takes, start and imports included."""

from __future__ import annotations

import subprocess
import sys
import time

from export.errors import UserError


def timed(module: str, *arguments: str) -> tuple[float, str]:
    """Seconds of ``python -m module``, and its standard output; what it says on stderr is passed on.

    Raises:
        UserError: it failed.
    """
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise UserError(f"python -m {module} ended with exit code {done.returncode}.", "Its output is above.")
    return time.perf_counter() - start, done.stdout
