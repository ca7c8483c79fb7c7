"""What every plug-in needs when it calls somebody else's library. It knows no engine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version

from engines.base import EngineSpec
from export.errors import CellError, UserError


def installed(distribution: str) -> str:
    """The installed version of a distribution, empty where it is not installed. Imports nothing of it."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def first_line(error: BaseException) -> str:
    """The first line of an error that says something: a place in somebody's sources does not."""
    for line in str(error).splitlines():
        if line.strip() and not line.startswith("Exception from "):
            return line.strip()[:300]
    return type(error).__name__


@contextmanager
def failing(what: str) -> Iterator[None]:
    """Turn whatever a library raises inside into a :class:`CellError` that says ``what`` and the library's own line."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise CellError(what, first_line(error)) from error


def threads(spec: EngineSpec) -> int:
    """The threads that ``spec`` grants in all: 0 stands for every core that this process may use."""
    if spec.threads:
        return spec.threads
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
