"""What a licence forbids that a shipped folder may need: said before anything is written."""

from __future__ import annotations

FREE = (
    "apache",
    "mit",
    "bsd",
    "cc0",
    "cc-by-4",
    "cc by 4",
    "cc-by-3",
    "cc by 3",
    "unlicense",
    "isc",
    "public domain",
    "user's own",
)
"""Beginnings of licences that allow to pass a work on and to sell what is made of it, with their notice."""
OWN = "user's own"
NO_COMMERCE = ("nc", "non-commercial", "noncommercial", "research")
NO_CHANGE = ("nd", "noderivatives")


def restriction(what: str, licence: str) -> str:
    """A sentence on what a licence forbids; empty where it forbids nothing.

    Args:
        what: it is the licence of. licence: SPDX or words; empty where none is known.
    """
    text = licence.lower().strip()
    if text == OWN:
        return ""
    if not text:
        return f"No licence is known of {what}: without one it may not be passed on."
    if text.startswith(FREE):
        return ""
    parts = text.replace("-", " ").replace("_", " ").split()
    found = []
    if any(part in parts or part in text.split() for part in NO_COMMERCE):
        found.append("commercial use")
    if any(part in parts for part in NO_CHANGE):
        found.append("passing on what is made of it")
    if found:
        return f"The licence of {what}, {licence}, forbids {' and '.join(found)}."
    return f"Read the licence of {what}, {licence}, before you pass the folder on: it has terms of its own."
