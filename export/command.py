"""The frame that every command shares: its parser, its list options, its tables, its exit code.

A help text must load nothing heavy, so this module imports nothing but the standard library.
"""

from __future__ import annotations

import argparse
import errno
import math
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from export import streams
from export.errors import OutOfSpace, UserError, for_user, not_written

PIPE_WIDTH = 240
"""Columns of a table that is not printed to a terminal: a pipe has no width, and no cell is to be cut."""


def new_parser(door: str, description: str, epilog: str = "") -> argparse.ArgumentParser:
    """The parser of a command.

    Args:
        door: how it is called: ``bob run``; or its module, which stands for ``python -m module``.
        epilog: keeps its lines as they are.
    """
    return argparse.ArgumentParser(
        prog=door if door.startswith("bob ") else f"python -m {door}",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def complete(action: argparse.Action, names: str | tuple[str, ...]) -> None:
    """Let a shell complete names of a table, in a list with commas too.

    Args:
        names: the names; or ``"module:attribute"`` of what they are listed by, or of a function that gives them, loaded
            when a shell asks.
    """

    def completer(prefix: str, **_: object) -> list[str]:
        done, comma, _last = prefix.rpartition(",")
        return [f"{done}{comma}{name}" for name in _names(names) if name not in done.split(",")]

    action.completer = completer  # type: ignore[attr-defined]  # argcomplete looks for it there


def _names(names: str | tuple[str, ...]) -> Iterable[str]:
    if not isinstance(names, str):
        return names
    from export.registry import load_target

    found: Any = load_target(names, "table")
    known: Iterable[str] = found() if callable(found) else found
    return known


def add_store(p: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """``--store``: where built things lie."""
    p.add_argument(
        "--store", type=Path, metavar="DIR", help="cache of exports, plans and features (the user's cache folder)"
    )


def add_checks(p: argparse.ArgumentParser, precisions: str) -> None:
    """What the checks of the zoo's networks share: which, how long, where they are kept, and how they are shown."""
    p.add_argument("--models", default="all", metavar="NAMES", help="zoo names, comma-separated (all)")
    p.add_argument("--precisions", default=precisions, metavar="NAMES", help=f"precisions ({precisions})")
    p.add_argument("--limit", type=float, default=1800, metavar="SECONDS", help="time limit of one process (1800)")
    p.add_argument("--fresh", action="store_true", help="repeat finished checks")
    add_store(p)
    p.add_argument("--markdown", type=Path, metavar="FILE", help="also write the table to FILE")
    p.add_argument("--json", action="store_true", help="print the rows as JSON")


def add_zoo(p: argparse.ArgumentParser) -> None:
    """``--zoo``: rows of the user's own."""
    p.add_argument(
        "--zoo",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="a YAML file with your own zoo rows; repeatable",
    )


def listed(text: str) -> tuple[str, ...]:
    """An option of the form ``A,B``: its parts; none of them for ``none``."""
    return () if text == "none" else tuple(part.strip() for part in text.split(",") if part.strip())


def sizes(text: str, option: str) -> tuple[int, ...]:
    """An option of the form ``1,8``.

    Raises:
        UserError: a part is not a whole number.
    """
    try:
        return tuple(int(part) for part in listed(text))
    except ValueError:
        raise UserError(f"{option} takes comma-separated whole numbers, not {text!r}.", "", f"{option} 1,8") from None


def duration(text: str, option: str) -> float:
    """An option of the form ``90s``, ``10m`` or ``1h``, in seconds.

    Raises:
        UserError: it has another form, or no unit.
    """
    number, unit = text[:-1].strip(), {"s": 1, "m": 60, "h": 3600}.get(text[-1:])
    try:
        seconds = float(number) * (unit or math.nan)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise UserError(f"{option} takes a time with its unit (s, m or h), not {text!r}.", "", f"{option} 10m")
    return seconds


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]], dim: Sequence[bool] = ()) -> None:
    """Print rows below their heads to standard output; a head that begins with ``>`` is of numbers.

    Args:
        dim: which rows step back.
    """
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for head in heads:
        table.add_column(head.lstrip(">"), justify="right" if head.startswith(">") else "left", overflow="fold")
    for number, row in enumerate(rows):
        table.add_row(*row, style="dim" if number < len(dim) and dim[number] else None)
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    Console(file=sys.stdout, width=width, highlight=False, markup=False).print(table)


@dataclass
class Failures:
    """Of things that are made one by one: failures are printed, and the next is made."""

    errors: list[UserError] = field(default_factory=list)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep a :class:`~export.errors.UserError` that is raised inside; a full disk ends everything."""
        try:
            yield
        except OutOfSpace:
            raise
        except UserError as error:
            self.errors.append(error)
            print(f"error: {error}", file=sys.stderr)


def console(main: Callable[[], int | None]) -> Callable[[], NoReturn]:
    """What a console script calls: ``main``, and the exit code that its outcome deserves."""
    return lambda: run_cli(main)


def run_cli(main: Callable[[], int | None]) -> NoReturn:
    """Run a command and leave with the exit code that its outcome deserves (see :mod:`export.errors`)."""
    streams.prepare()
    try:
        code = main() or 0
        sys.stdout.flush()  # a full disk or a closed pipe is known here, and not after the exit code is given
    except KeyboardInterrupt:
        code = 130
        _report("interrupted: finished work is kept; the same command resumes it")
    except BrokenPipeError:
        code = 0  # the reader of our output has what it wanted
    except SystemExit as left:
        if not isinstance(left.__context__, BrokenPipeError):  # which is how rich ends a command
            raise
        code = 0
    except OSError as error:
        code = _system(error)
    except Exception as error:
        if said := for_user(error):
            code = said.exit_code
            _report(f"error: {said}")
        else:
            code = 3
            _report(f"{traceback.format_exc()}This is a bug: please report it with the lines above.")
    _last_flush()
    sys.exit(code)


def _system(error: OSError) -> int:
    """Report an error of the system's: the user's to fix where another place would do."""
    try:
        if error.errno in (errno.ENOENT, errno.EEXIST):  # our own mistake, until somebody said otherwise
            raise error
        _report(f"error: {not_written(error, 'reading or writing')}")
        return 2
    except OSError:
        _report(f"{traceback.format_exc()}This is a bug: please report it with the lines above.")
        return 3


def _report(text: str) -> None:
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):  # nobody can read it
        streams.silence(sys.stderr)


def _last_flush() -> None:
    """Write or drop what is left in the streams: Python would report a failure with an exit code of its own."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            streams.silence(stream)
