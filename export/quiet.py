"""Libraries that decode images write to stderr as they please; while :func:`quiet` is entered, this thread's do not.

Three ways lead there: Python's warnings, Pillow's loggers, and libtiff, which prints from C. Each is held back by one
object that is put in place when the first thread enters and taken away when the last one leaves. Warnings and log lines
of other threads, and of other libraries, pass. (``warnings.catch_warnings`` would not do: it swaps the filters of the
whole process, and threads that overlap leave the wrong ones behind.)
"""

from __future__ import annotations

import ctypes
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_here = threading.local()
_lock = threading.Lock()
_threads = 0
_libtiff_handler: int | None = None


class _Anything:
    """Takes the place of a warning filter's patterns: matches whatever a quiet thread says."""

    def match(self, text: str) -> bool:
        return bool(getattr(_here, "depth", 0))


class _Mute(logging.Filter):
    """Drops what a quiet thread logs."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not getattr(_here, "depth", 0)


_FILTER: Any = ("ignore", None, Warning, _Anything(), 0)
_MUTE = _Mute()
_LOGGERS = ("PIL.TiffImagePlugin",)
"""Those of Pillow that say more than debug lines. A filter is not inherited, so each is named."""


@contextmanager
def quiet() -> Iterator[None]:
    """No warning of this thread reaches the user, whatever filters the process has (``-W error`` included)."""
    global _threads
    _here.depth = getattr(_here, "depth", 0) + 1
    with _lock:
        _threads += 1
        if _threads == 1:
            _enter()
        elif not warnings.filters or warnings.filters[0] is not _FILTER:
            _filter_in()  # somebody has put other filters in place meanwhile
    try:
        yield
    finally:
        _here.depth -= 1
        with _lock:
            _threads -= 1
            if _threads == 0:
                _leave()


def _enter() -> None:
    global _libtiff_handler
    _filter_in()
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_MUTE)
    if set_handler := _libtiff():
        _libtiff_handler = set_handler(None)


def _leave() -> None:
    _filter_out()
    for name in _LOGGERS:
        logging.getLogger(name).removeFilter(_MUTE)
    if set_handler := _libtiff():
        set_handler(_libtiff_handler)


def _filter_in() -> None:
    _filter_out()
    warnings.filters.insert(0, _FILTER)  # type: ignore[attr-defined]


def _filter_out() -> None:
    while _FILTER in warnings.filters:
        warnings.filters.remove(_FILTER)  # type: ignore[attr-defined]


@cache
def _libtiff() -> Any:
    """``TIFFSetErrorHandler`` of the libtiff that Pillow is linked with, or None where it cannot be reached."""
    try:
        from PIL import _imaging

        function = ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler
    except (ImportError, OSError, AttributeError):
        return None
    function.argtypes, function.restype = [ctypes.c_void_p], ctypes.c_void_p
    return function
