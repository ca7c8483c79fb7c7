"""What every plug-in needs when it calls somebody else's library. It knows no engine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from threading import Lock

from export.errors import CellError, UserError, first_line

ENVIRONMENT = Lock()
"""Held while environment variables are not the user's own: two who set them at once would give back each other's."""


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
    """Environment variables for a library that reads them when it starts; given back afterwards."""
    if not settings:
        yield
        return
    with ENVIRONMENT:
        before = {name: os.environ.get(name) for name in settings}
        os.environ.update(settings)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
