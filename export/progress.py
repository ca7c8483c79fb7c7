"""Progress on stderr: a bar with images/s and time left on a terminal, a line now and then anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from export.streams import silence

LINE_SECONDS = 15.0


def say(line: str) -> None:
    """One line for the user; where nobody reads it any more (``bob run 2>&1 | head``), the work goes on."""
    try:
        print(line, file=sys.stderr, flush=True)
    except BrokenPipeError:
        silence(sys.stderr)


def now_and_then(what: str) -> Callable[[int, int], None]:
    """A callback of (done, total) that says a line every fifteen seconds: for work that mostly is over before."""
    last = time.monotonic()

    def line(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= LINE_SECONDS and done < total:
            last = time.monotonic()
            say(f"{what}: {done} of {total}")

    return line


@contextmanager
def counting(what: str | Callable[[], str], total: int, unit: str = "images") -> Iterator[Callable[[int], None]]:
    """A counter to be called with the number of things finished since the last call.

    Args:
        what: the line's beginning; or what gives it, where it changes.
    """

    def said() -> str:
        return what if isinstance(what, str) else what()

    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(said(), total=total, rate="")
            start, done = time.monotonic(), 0

            def advance(count: int) -> None:
                nonlocal done
                done += count
                rate = done / max(time.monotonic() - start, 1e-9)
                bar.update(task, description=said(), advance=count, rate=f"{rate:,.0f} {unit}/s")

            yield advance
        return
    start = last = time.monotonic()
    done = 0

    def line(count: int) -> None:
        nonlocal done, last
        done += count
        now = time.monotonic()
        if now - last >= LINE_SECONDS and done < total:
            last = now
            rate = done / (now - start)
            say(f"{said()}: {done} of {total} {unit}, {rate:,.1f} {unit}/s, {(total - done) / rate:,.0f} s left")

    yield line
