"""The system's small files: one value each, any of which may be missing, unreadable or not what it should be."""

from __future__ import annotations

from pathlib import Path


def text(file: Path) -> str:
    """What it says, without the space and the zero byte around it; empty where it cannot be read.

    Unbuffered: a sensor that sleeps answers "try again", of which Python's buffers make a TypeError.
    """
    try:
        with file.open("rb", buffering=0) as opened:
            content: bytes | None = opened.readall()
    except OSError:
        return ""
    return (content or b"").decode(errors="replace").strip("\0 \t\r\n")


def number(file: Path) -> int | None:
    """The whole number that it says; None where it says none."""
    try:
        return int(text(file))
    except ValueError:
        return None
