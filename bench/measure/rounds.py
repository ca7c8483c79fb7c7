"""Repeats of many measurements, interleaved in an order drawn anew each time; each in a child process of its own.

One network heats the chip for the next; a process that is busy for a minute then spoils one repeat, not one job. So the
first repeat of every job comes before the second of any. What a child saw is kept at once, so that a run that was
killed measures only what is missing.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from bench.measure.runner import run
from bench.measure.worker import Job, Outcome
from export.progress import say
from export.store import write_atomic

LOCK = "timing.lock"
CHILD_SECONDS = 2.0
"""What a child process takes besides measuring, about."""


@dataclass(frozen=True)
class Round:
    """One job's next turn (see :attr:`bench.measure.worker.Job.turns`): ``number`` counts all turns of all jobs, from 1
    to ``total``."""

    index: int
    turn: int
    number: int
    total: int


def rounds(turns: Sequence[int], seed: int, left_out: Callable[[int], bool]) -> Iterator[Round]:
    """Every turn of every job, of which each has so many; of those that are ``left_out`` once it comes (they failed),
    none."""
    number = 0
    for turn in range(max(turns, default=0)):
        order = [index for index, own in enumerate(turns) if turn < own]
        random.Random(f"{seed}/{turn}").shuffle(order)
        for index in order:
            number += 1
            if not left_out(index):
                yield Round(index, turn, number, sum(turns))


def takes(turns: Iterable[Job]) -> str:
    """How long the children of these turns take together, for a line of progress."""
    seconds = sum(CHILD_SECONDS + turn.takes for turn in turns)
    return f"about {seconds / 60:,.0f} min" if seconds > 90 else f"about {seconds:.0f} s"


def outcome(job: Job, kept: Path) -> Outcome:
    """What a child saw of one turn of a job: kept in that file, or measured now and kept there, unless it failed.

    Raises:
        OutOfSpace: the disk is full.
    """
    if kept.exists():
        try:
            return msgspec.json.decode(kept.read_bytes(), type=Outcome)
        except msgspec.DecodeError:
            kept.unlink()
    # two runs on one machine may share a store, but not the clock: each would be the other's noisy neighbour
    lock = FileLock(Path(job.store) / LOCK)
    try:
        lock.acquire(timeout=1)
    except Timeout:
        say("waiting for another run on this machine to finish a timing …")
        lock.acquire()
    try:
        seen = run(job)
    finally:
        lock.release()
    if not seen.failure:
        write_atomic(kept, msgspec.json.encode(seen))
    return seen


def read(files: Sequence[Path]) -> list[Outcome]:
    """What was kept, in order."""
    return [msgspec.json.decode(file.read_bytes(), type=Outcome) for file in files]
