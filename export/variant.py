"""Variants of a backbone as users write them: its input size, and the depth at which it is cut."""

from __future__ import annotations

import re

from export.errors import UserError

ALL = "all"
"""Every depth, and the whole network."""
WHOLE = "whole"
"""The depth of a network that is not cut."""


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


def network_name(name: str, size: str, resize: str, depth: int) -> str:
    """What tables call a backbone at an input and a depth that were asked for: ``vit_s · 128x128 · depth 3``."""
    return " · ".join(filter(None, (name, asked_input(size, resize), f"depth {depth}" if depth else "")))


def asked_input(size: str, resize: str) -> str:
    """Size and resize, as far as they were asked for: ``352x480 letterbox``."""
    return " ".join(filter(None, (size, resize)))


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
