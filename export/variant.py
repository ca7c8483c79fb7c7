"""Variants of a backbone as users write them: its input size, and the depth at which it is cut."""

from __future__ import annotations

import re

from export.errors import UserError

ALL = "all"
"""Every depth, and the whole network."""


def input_size(text: str) -> str:
    """A size as ``HEIGHTxWIDTH``: 352x480, or one number for both sides.

    Raises:
        UserError: it is neither, or a side has fewer than 10 or more than 9,999 pixels.
    """
    found = re.fullmatch(r"([1-9]\d{1,3})(?:x([1-9]\d{1,3}))?", text.strip())
    if not found:
        raise UserError(
            f"size must be height x width, or one number for both, not {text!r}.",
            "A side has 10 to 9,999 pixels.",
            "--size 224 or --size 352x480",
        )
    height, width = found.groups()
    return f"{height}x{width or height}"


def cut_depth(text: str) -> str:
    """A depth as text: a whole number from 1, or :data:`ALL`.

    Raises:
        UserError: it is neither.
    """
    if not re.fullmatch(rf"[1-9]\d{{0,2}}|{ALL}", text.strip()):
        raise UserError(
            f"depth must be a whole number from 1, or {ALL}, not {text!r}.",
            "It counts the stages of a network, or the blocks of a plain vision transformer.",
            f"--depth 3 or --depth {ALL}",
        )
    return text.strip()
