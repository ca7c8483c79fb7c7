"""Turns of many measurements, interleaved in an order drawn anew each time; each in a child process of its own.

One network heats the chip for the next; a process that is busy for a minute then spoils one repeat, not one job. So the
first repeat of every job comes before the second of any; and what was throttled or disturbed is measured again at the
end of a round, not at once. Of several attempts the least disturbed is kept, whatever it measured: to choose by the
result would be to choose the result. What a child saw is kept at once, so that a run that was killed measures only what
is missing.
"""

from __future__ import annotations

import platform
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from bench.measure.runner import run
from bench.measure.worker import Job, Outcome
from bench.records.parts import Failure
from export.errors import OutOfSpace
from export.progress import say
from export.store import write_atomic

LOCK = f"timing-{platform.node()}.lock"
"""In the store. Machines that share it do not wait for each other."""
CHILD_SECONDS = 2.0
"""What a child process takes besides measuring, about."""
ATTEMPTS = 3
"""One turn is measured so often at the most."""
EXTRA = 0.25
"""Further attempts begin until they have taken this share of the time of all first ones: on a machine that is always
busy they help nothing."""


Measure = Callable[[Job], Outcome]


@dataclass(frozen=True)
class Turn:
    """One turn of one job (see :attr:`bench.measure.worker.Job.turns`), measured or kept from before.

    Attributes:
        number: counts all turns of all jobs, from 1 to ``total``.
        attempt: from 1.
        kept: what was there before is: nothing ran, or what did was no less disturbed.
        complete: it was the job's last that was missing, and none of them is to be measured again.
    """

    index: int
    turn: int
    number: int
    total: int
    attempt: int = 1
    kept: bool = False
    complete: bool = False

    @property
    def note(self) -> str:
        """What a line of progress says of it before its figures."""
        if not self.kept:
            return ""
        return "kept from before: " if self.attempt == 1 else "no less disturbed; kept is: "

    def __str__(self) -> str:
        return f"[attempt {self.attempt}]" if self.attempt > 1 else f"[{self.number}/{self.total}]"


def measured(
    jobs: Sequence[Sequence[Job]],
    part: Callable[[int, int], Path],
    seed: int,
    left_out: Callable[[int], bool],
    measure: Measure | None = None,
) -> Iterator[tuple[Turn, Outcome]]:
    """Every turn of every job; and at the end of each round, the worst first, those again that something disturbed.

    Args:
        jobs: the turns of each. part: job and turn, by their places → the file in which what the child saw is kept.
        left_out: asked when a job's turn comes: whether it is left out, because it failed.
        measure: how a job is measured; by default :func:`alone`, on this machine.

    Raises:
        OutOfSpace: the disk is full.
    """
    measure = measure or alone
    rounds, total, number = max(map(len, jobs), default=0), sum(map(len, jobs)), 0
    missing = [set(range(len(turns))) for turns in jobs]
    doubtful: dict[tuple[int, int], Outcome] = {}  # those that may be measured again
    left = 0.0  # seconds that further attempts may take

    def complete(index: int, turn: int, seen: Outcome) -> bool:
        missing[index].discard(turn)
        doubtful.pop((index, turn), None)
        if seen.doubtful and seen.attempts < ATTEMPTS:
            doubtful[index, turn] = seen
        return not missing[index] and all(index != other for other, _ in doubtful)

    def again() -> list[tuple[int, int]]:
        found = [at for at in doubtful if not left_out(at[0])]
        return sorted(found, key=lambda at: doubtful[at].disturbance, reverse=True)

    for turn in range(rounds):
        order = [index for index, turns in enumerate(jobs) if turn < len(turns)]
        random.Random(f"{seed}/{turn}").shuffle(order)
        for index in order:
            number += 1
            if left_out(index):
                continue
            kept = part(index, turn).exists()
            seen = _whole(jobs[index][turn], part(index, turn), measure)
            left += (EXTRA - (seen.attempts - 1)) * seen.seconds
            yield Turn(index, turn, number, total, 1, kept, complete(index, turn, seen)), seen
        while left > 0 and (worst := again()):
            say(f"{len(worst)} disturbed: again, the worst first")
            for index, own in worst:
                if left > 0:
                    before = doubtful[index, own]
                    seen = _again(jobs[index][own], part(index, own), measure)
                    left -= seen.seconds
                    kept, whole = seen.series == before.series, complete(index, own, seen)
                    yield Turn(index, own, number, total, seen.attempts, kept, whole), seen
            if turn < rounds - 1:  # what is left is tried again after the next round
                break
    if worst := again():
        say(f"{len(worst)} stay disturbed: further attempts may take {EXTRA:.0%} of the time")


def _whole(job: Job, kept: Path, measure: Measure) -> Outcome:
    """As :func:`outcome`; a bug is the job's failure, not the others' end."""
    try:
        return outcome(job, kept, measure)
    except OutOfSpace:
        raise
    except Exception as error:
        return Outcome(failure=Failure.of(error))


def takes(turns: Iterable[Job]) -> str:
    """How long the children of these turns take together, for a line of progress."""
    seconds = sum(CHILD_SECONDS + turn.takes for turn in turns)
    return f"about {seconds / 60:,.0f} min" if seconds > 90 else f"about {seconds:.0f} s"


def outcome(job: Job, kept: Path, measure: Measure | None = None) -> Outcome:
    """What a child saw of one turn of a job: kept in that file, or measured now and kept there, unless it failed.

    Raises:
        OutOfSpace: the disk is full.
    """
    if kept.exists():
        try:
            return msgspec.json.decode(kept.read_bytes(), type=Outcome)
        except msgspec.DecodeError:
            kept.unlink()
    seen = (measure or alone)(job)
    if not seen.failure:
        write_atomic(kept, msgspec.json.encode(seen))
    return seen


def _again(job: Job, kept: Path, measure: Measure) -> Outcome:
    """Measure the job once more, and keep the less disturbed of this attempt and the one that is kept; it.

    Raises:
        OutOfSpace: the disk is full.
    """
    before, seen = msgspec.json.decode(kept.read_bytes(), type=Outcome), measure(job)
    best = before if seen.failure else min(before, seen, key=lambda one: one.disturbance)
    best = replace(best, attempts=before.attempts + 1)
    write_atomic(kept, msgspec.json.encode(best))
    return best


def alone(job: Job) -> Outcome:
    """Measure a job in a child process while no other run on this machine does."""
    # two runs on one machine may share a store, but not the clock: each would be the other's noisy neighbour
    lock = FileLock(Path(job.store) / LOCK)
    try:
        lock.acquire(timeout=1)
    except Timeout:
        say("waiting for another run on this machine to finish a timing …")
        lock.acquire()
    try:
        return run(job)
    finally:
        lock.release()


def trouble(seen: Outcome) -> str:
    """What came between the worst of its series, for a line of progress; empty where nothing did."""
    windows = [(name, one) for name, scenario in seen.monitoring.items() for one in scenario if one.doubtful]
    if not windows:
        return ""
    name, worst = max(windows, key=lambda w: (w[1].throttled, w[1].foreign_share + w[1].stolen_share))
    return f" ({name}: {worst.trouble})"


def read(files: Sequence[Path]) -> list[Outcome]:
    """What was kept, in order."""
    return [msgspec.json.decode(file.read_bytes(), type=Outcome) for file in files]
