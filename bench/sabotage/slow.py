"""Sessions that are slow, late or forgetful in a known way, and a naive harness to time them with."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from queue import SimpleQueue
from typing import Any

import numpy as np

from bench.sabotage.bed import Hook
from engines.base import Outputs, Pixels, Session
from export.errors import UserError


def bare(session: Session, images: Sequence[Pixels], number: int = 64) -> list[float]:
    """A naive loop: milliseconds of each query."""
    found = []
    for i in range(number):
        begin = time.perf_counter()
        session.run(images[i % len(images)])
        found.append(1e3 * (time.perf_counter() - begin))
    return found


def sleeping(seconds: Callable[[int], float]) -> Hook:
    """Sleeps before the i-th run as long as ``seconds(i)`` says."""
    number = count()

    def run(true: Session, pixels: Pixels) -> Outputs:
        time.sleep(seconds(next(number)))
        return true.run(pixels)

    return run


class Late:
    """Runs hand their work to a thread, and return arrays that it fills in later. Use as a context manager.

    Args:
        true: the run that it stands for. seconds: what the work takes.
    """

    def __init__(self, true: Callable[[Any, Pixels], Outputs], seconds: float) -> None:
        self._true, self._seconds = true, seconds
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._filled, daemon=True)

    @property
    def method(self) -> Callable[[Any, Pixels], Outputs]:
        """What a session's class is given in the place of its own."""
        return lambda session, pixels: self._run(session, pixels)

    def _run(self, session: Any, pixels: Pixels) -> Outputs:
        out = {o.name: np.zeros((len(pixels), *o.shape), np.float32) for o in session.outputs}

        def fill() -> None:
            time.sleep(self._seconds)
            for name, rows in self._true(session, pixels).items():
                out[name][:] = rows

        self._work.put(fill)
        return out

    def _filled(self) -> None:
        while (fill := self._work.get()) is not None:
            with suppress(UserError):  # the session may be closed by now
                fill()

    def __enter__(self) -> Late:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._work.put(None)
        self._thread.join()


class Remembers:
    """Runs that answer from memory what was asked before; the work takes ``seconds``."""

    def __init__(self, true: Callable[[Any, Pixels], Outputs], seconds: float) -> None:
        self._true, self._seconds = true, seconds
        self._known: dict[bytes, Outputs] = {}

    @property
    def method(self) -> Callable[[Any, Pixels], Outputs]:
        """What a session's class is given in the place of its own."""
        return lambda session, pixels: self._run(session, pixels)

    def _run(self, session: Any, pixels: Pixels) -> Outputs:
        asked = pixels.tobytes()
        if asked not in self._known:
            time.sleep(self._seconds)
            self._known[asked] = self._true(session, pixels)
        return self._known[asked]
