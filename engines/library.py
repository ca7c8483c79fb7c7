"""What every plug-in needs when it calls somebody else's library. It knows no engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version

from export.errors import CellError, UserError, first_line


def installed(distribution: str) -> str:
    """The installed version of a distribution, empty where it is not installed. Imports nothing of it."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


@contextmanager
def failing(what: str) -> Iterator[None]:
    """Turn a library's exception into a :class:`CellError` that says ``what`` and the library's own line."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise CellError(what, first_line(error)) from error
