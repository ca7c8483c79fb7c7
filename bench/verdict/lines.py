"""Text in lines that no terminal of 120 columns has to break."""

from __future__ import annotations

from textwrap import wrap

WIDTH = 120


def wrapped(text: str, width: int = WIDTH) -> list[str]:
    """The lines of a text, broken at spaces alone: a command's options and a path stay whole."""
    return wrap(text, width, break_on_hyphens=False, break_long_words=False)
