"""The steps one after another, each in a process group of its own, and all of them within a number of minutes.

A step may take half of the time that is left, the last one all of it. One that crashes or hangs costs no other.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

import msgspec

from bench.gpu.result import Result, place, read, write
from bench.gpu.steps import STEPS, Job
from export.child import ROOT
from export.progress import say

RESERVE = 15.0
"""Seconds at the end: for a step to end, and for the summary."""
GRACE = 5.0
"""Seconds in which a step is to end when it is told to; then its processes are killed."""
LEAST = 5.0
"""A step is not begun with fewer seconds."""


def run(job: Callable[[str], Job], minutes: float, clock: Callable[[], float] = time.monotonic) -> Iterator[Result]:
    """Run every step; yields its result once it has ended.

    Args:
        job: name of a step → what it is given.
        minutes: after these everything has ended.
    """
    deadline = clock() + 60 * minutes - RESERVE
    names = list(STEPS)
    for name in names:
        asked, left = job(name), deadline - clock()
        limit = left if name == names[-1] else left / 2
        if limit < LEAST:
            before = read(Path(asked.out), name)
            result = before or Result(name, "skipped", "no time was left for it")
            write(Path(asked.out), result)
            yield result
            continue
        say(f"{name}: {STEPS[name].about}; at most {limit / 60:.1f} min")
        yield bounded(asked, limit)


def bounded(job: Job, limit: float, command: tuple[str, ...] = ("-m", "bench.gpu.child")) -> Result:
    """Run one step for at most ``limit`` seconds, and say how it ended.

    Args:
        command: Python's arguments; behind them comes the job, as JSON.
    """
    folder, start = Path(job.out), time.monotonic()
    before = read(folder, job.step)
    log = place(folder, job.step).with_suffix(".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as kept:
        child = subprocess.Popen(
            [sys.executable, *command, msgspec.json.encode(job).decode()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            preexec_fn=os.setpgrp,  # its own children end with it, and it ends with the session that it was called from
        )
        assert child.stdout is not None
        reader = threading.Thread(target=_pass_on, args=(child.stdout, kept), daemon=True)
        reader.start()
        try:
            ended = _waited(child, limit)
        finally:
            _end(child)
            reader.join(GRACE)
            if not reader.is_alive():
                child.stdout.close()
    found = read(folder, job.step) or Result(job.step, "failed")
    if ended is None:
        found = replace(found, state="cut", why=f"its time was over ({limit:.0f} s)", seconds=time.monotonic() - start)
    elif ended and (found.state != "failed" or found == before):
        why = f"its process was ended by {signal.Signals(-ended).name}" if ended < 0 else _last(log)
        found = replace(found, state="failed", why=why, seconds=time.monotonic() - start)
    write(folder, found)
    return found


def _waited(child: subprocess.Popen[bytes], limit: float) -> int | None:
    try:
        return child.wait(limit)
    except subprocess.TimeoutExpired:
        return None


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the process, and whatever it has started."""
    if child.poll() is None:
        child.terminate()
        _waited(child, GRACE)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _pass_on(lines: IO[bytes], kept: IO[bytes]) -> None:
    """To the log and to standard error, as it comes."""
    for line in lines:
        kept.write(line)
        kept.flush()
        say(line.decode(errors="replace").rstrip())


def _last(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else "it printed nothing"
