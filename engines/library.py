"""What every plug-in needs when it calls somebody else's library. It knows no engine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
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


@contextmanager
def environment(settings: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for a library that reads them once, when it is loaded; given back afterwards."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
