"""Seconds of ``--help``, and of a finished sweep that is asked for again."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.figures.figure import Figure, figure
from bench.figures.process import timed
from export.progress import say
from export.store import Store

STARTS, REPEATS = 9, 3


def figures(store: Store, shared: Path) -> Iterator[Figure]:
    """Both; the first run of the demo takes minutes, and shows its progress."""
    values = [timed("bench", "run", "--help")[0] for _ in range(STARTS)]
    yield figure("bob run --help, s", values, "< 0.4", lambda v: v < 0.4, f"{STARTS} starts")
    with tempfile.TemporaryDirectory() as folder:
        again = ("bench", "run", "--out", folder, "--store", str(store.root))
        say("start: first run of the demo")
        first, _ = timed(*again)
        say(f"start: the demo again, {REPEATS} times")
        values = [timed(*again)[0] for _ in range(REPEATS)]
    yield figure(
        "A finished sweep again, s", values, "< 5", lambda v: v < 5, f"the demo sweep, {first:.0f} s the first time"
    )
