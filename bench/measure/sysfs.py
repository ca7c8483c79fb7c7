"""The system's small files: one value each, any of which may be missing, unreadable or not what it should be."""

from __future__ import annotations

import os
from pathlib import Path


def text(file: Path) -> str:
    """What it says, without the space and the zero byte around it; empty where it cannot be read.

    A sensor that sleeps says "try again": it is not waited for, nor read by buffers, which make a TypeError of that.
    """
    try:
        with open(os.open(file, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as opened:
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
