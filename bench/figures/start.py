"""Seconds of ``--help``, and of a finished sweep that is asked for again."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.figures.figure import Figure, figure
from export.errors import UserError
from export.progress import say
from export.store import Store

STARTS, REPEATS = 9, 3


def figures(store: Store, shared: Path) -> Iterator[Figure]:
    """Both; the first run of the demo takes minutes, and shows its progress."""
    values = [seconds("bench", "run", "--help") for _ in range(STARTS)]
    yield figure("bob run --help, s", values, "< 0.4", lambda v: v < 0.4, f"{STARTS} starts")
    with tempfile.TemporaryDirectory() as folder:
        again = ("bench", "run", "--out", folder, "--store", str(store.root))
        say("start: first run of the demo")
        first = seconds(*again)
        say(f"start: the demo again, {REPEATS} times")
        values = [seconds(*again) for _ in range(REPEATS)]
    yield figure(
        "A finished sweep again, s", values, "< 5", lambda v: v < 5, f"the demo sweep, {first:.0f} s the first time"
    )


def seconds(module: str, *arguments: str) -> float:
    """How long ``python -m`` takes. What it says on stderr is passed on; its results are not.

    Raises:
        UserError: it failed.
    """
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", module, *arguments], stdout=subprocess.DEVNULL)
    if done.returncode:
        raise UserError(f"python -m {module} ended with exit code {done.returncode}.", "Its output is above.")
    return time.perf_counter() - start
