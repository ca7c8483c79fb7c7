"""Checks of many networks, one after another: what was found of each is kept, and a crash costs that one alone.

Each stage of a check is a child process. It writes what it knows after every step, so that a parent whose child has
died knows as much. A second call does only what is missing. What is made for a check lies in a store of its own and is
thrown away after it: the user's store keeps what it has, and gets nothing but the results.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from engines.architectures import Architecture
from export.errors import UserError
from export.spec import Precision
from export.store import Store, write_atomic

FETCHED = ("hub", "members", "packages", "photographs")
"""Shelves of a store with what was fetched: a check shares them."""
State = dict[str, Any]
"""What is known of a check, in JSON values. Always in it: ``doing``, what was about to be done when it was written;
``ENDED`` where nothing was left to do. ``died``: how the process ended, where it ended otherwise. ``unavailable``: what
could not be had; such a result is not kept. ``took``: seconds of the process, its start among them."""
ENDED = "ending"


@dataclass(frozen=True)
class Job:
    """One network in one precision, and the key of what is found of it."""

    architecture: Architecture
    precision: Precision
    key: str

    def __str__(self) -> str:
        return f"{self.architecture.name} {self.precision}"


def kept(
    shelf: str, jobs: Sequence[Job], store: Store, check: Callable[[Job, Store], State], fresh: bool = False
) -> Iterator[tuple[Job, State, bool]]:
    """Each job, what is known of it, and whether that was known before. Says on stderr what it does.

    Args:
        shelf: of the store, where results lie. jobs: those of one network stand together, and share what one makes.
        check: does one, in a store that is thrown away after the network. fresh: do what is known once more.

    Raises:
        UserError: another process does such checks in this store. KeyboardInterrupt: what was finished is kept.
    """
    from filelock import FileLock, Timeout

    store.root.mkdir(parents=True, exist_ok=True)
    lock = FileLock(store.root / f"{shelf}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"Another check is running in {store.root}.", "", "wait for it, or use another --store DIR"
        ) from None
    try:
        number = 0
        for _, group in groupby(jobs, key=lambda job: job.architecture.name + job.architecture.input):
            with _passing(store) as passing:
                for job in group:
                    number += 1
                    if fresh:
                        shutil.rmtree(store.folder(shelf, job.key), ignore_errors=True)
                    if known := store.try_load(shelf, job.key):
                        yield job, dict(known.fields), True
                        continue
                    print(f"[{number}/{len(jobs)}] {job}", file=sys.stderr, flush=True)
                    state = check(job, passing)
                    if "unavailable" not in state:  # that says nothing of the network: the next call tries again
                        store.obtain(shelf, job.key, lambda _, found=state: found)  # type: ignore[misc]
                    yield job, state, False
    finally:
        lock.release()


@contextmanager
def _passing(store: Store) -> Iterator[Store]:
    """A store for what is only made to be checked; what was fetched before is fetched."""
    with tempfile.TemporaryDirectory(dir=store.root, prefix=".checking-") as folder:
        for name in FETCHED:
            (store.root / name).mkdir(exist_ok=True)
            Path(folder, name).symlink_to(store.root / name, target_is_directory=True)
        yield Store(Path(folder), say=lambda _: None)


def in_child(worker: str, job: Mapping[str, Any], seconds: float) -> State:
    """Run a stage of a check in a process of its own, which may crash or hang.

    Args:
        worker: a module that calls :func:`work` when it is run.
        job: JSON values; ``memory_bytes`` is the most private memory that it may take. seconds: the most time.

    Returns:
        The child's last state.
    """
    with TemporaryDirectory(prefix="checking-") as folder:
        job_file, state_file = Path(folder, "job.json"), Path(folder, "state.json")
        job_file.write_text(json.dumps(job))
        died, start = "", time.monotonic()
        try:
            done = subprocess.run(
                [sys.executable, "-m", worker, str(job_file), str(state_file)],
                timeout=seconds,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            )
            if done.returncode:
                died = _ending(done.returncode, done.stderr)
        except subprocess.TimeoutExpired:
            died = f"It took longer than {seconds:.0f} seconds"
        state: State = json.loads(state_file.read_text()) if state_file.exists() else {"doing": "starting"}
    state["took"] = time.monotonic() - start
    if died:
        state["died"] = f"{died} while {state['doing']}."
    return state


def _ending(code: int, errors: str) -> str:
    if code < 0:
        name = signal.Signals(-code).name
        return f"The process died ({name})"
    last = (errors.strip().splitlines() or ["no word"])[-1].strip()
    return f"The process failed ({last[:200]})"


class Notes:
    """In the child: what is known so far, which is a file whenever something is begun."""

    def __init__(self, file: Path, **known: Any) -> None:
        self.state: State = known
        self._file = file

    def doing(self, what: str) -> None:
        """Write the state down, and what comes next."""
        self.state["doing"] = what
        write_atomic(self._file, json.dumps(self.state).encode())


def work(stage: Callable[[Mapping[str, Any], Path], None]) -> int:
    """In the child: give the job, and the file for the state, to a stage; the exit code."""
    job_file, state_file = map(Path, sys.argv[1:3])
    job = json.loads(job_file.read_text())
    _limit_memory(job["memory_bytes"])
    stage(job, state_file)
    return 0


def _limit_memory(memory_bytes: int) -> None:
    """Ask the system to refuse this process more private memory than that, where it knows such a limit."""
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
