"""A command's streams: there even where the caller closed them, and fit for every character that is printed."""

from __future__ import annotations

import codecs
import os
import sys
import unicodedata
from typing import TextIO

_ASCII = {
    "●": "*",
    "±": "+-",
    "…": "...",
    "–": "-",
    "—": "-",
    "−": "-",
    "×": "x",
    "·": ".",
    "→": "->",
    "▶": ">",
    "▼": "v",
    "ρ": "rho",
    "∞": "inf",
    "─": "-",
    "≤": "<=",
    "≥": ">=",
    "†": "!",
    "‡": "!!",
    "µ": "u",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
}
"""What stands for a character on a terminal whose encoding lacks it."""


def prepare() -> None:
    """Open what is closed, and let a character that an encoding lacks become one or a few that it has.

    A file that is opened where stream 0 to 2 should be would get what is printed.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # as Python leaves it where the caller closed it
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - it stays open as long as the command runs
    codecs.register_error("plain", _plain)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="plain")


def silence(stream: TextIO) -> None:
    """Nobody reads this stream any more: what is printed to it from now on goes nowhere."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):  # it is no file of the system's
        return


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_nearest, error.object[error.start : error.end])), error.end


def _nearest(character: str) -> str:
    if character in _ASCII:
        return _ASCII[character]
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain or "?"
