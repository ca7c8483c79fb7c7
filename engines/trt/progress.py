"""A build that takes long says how far it is; Ctrl-C ends it at its next step."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

QUIET_SECONDS = 10.0
"""A build that is done sooner says nothing; after that, one line in as many seconds."""


@contextmanager
def building(library: Any, config: Any, name: str) -> Iterator[None]:
    """Watch the build that runs inside.

    The library calls back from native code, where a raised KeyboardInterrupt would be lost: so the signal only sets
    a flag, the next step asks the library to stop, and the interrupt is raised when it has.
    """
    interrupted = threading.Event()

    class Monitor(library.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.next = time.monotonic() + QUIET_SECONDS
            self.steps: dict[str, int] = {}

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            self.steps[phase] = steps

        def step_complete(self, phase: str, step: int) -> bool:
            if time.monotonic() >= self.next:
                self.next = time.monotonic() + QUIET_SECONDS
                print(f"{name}: {phase}, {step + 1} of {self.steps.get(phase, '?')}", file=sys.stderr, flush=True)
            return not interrupted.is_set()

        def phase_finish(self, phase: str) -> None:
            self.steps.pop(phase, None)

    config.progress_monitor = Monitor()
    here = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, lambda *_: interrupted.set()) if here else None
    try:
        yield
    finally:
        if here:
            signal.signal(signal.SIGINT, before)
        if interrupted.is_set():
            raise KeyboardInterrupt
