"""Cells that differ along one axis alone, input size or depth: the points of a line.

Pure functions over the labels of a sheet's rows; pictures and the page draw them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Axis = Literal["size", "depth"]
AXES: tuple[Axis, ...] = ("size", "depth")

_SHARED: dict[Axis, tuple[str, ...]] = {
    "size": ("backbone", "resize", "depth", "engine", "precision", "preprocess", "batches", "threads"),
    "depth": ("backbone", "input", "engine", "precision", "preprocess", "batches", "threads"),
}
"""What the cells of one line have in common."""


@dataclass(frozen=True)
class Line:
    """Rows that differ along one axis alone, at least two of them.

    Attributes:
        axis: along which.
        shared: the labels that they have in common.
        rows: their indices, from the smallest input to the largest, or from the first stage to the whole network.
        at: where each lies: its input as the network takes it, ``128x128``; or ``depth 3``, ``whole``.
    """

    axis: Axis
    shared: Mapping[str, Any]
    rows: tuple[int, ...]
    at: tuple[str, ...]


def lines(labels: Sequence[Mapping[str, Any]], rows: Sequence[int] | None = None) -> list[Line]:
    """Every line along every axis, in the order in which their first rows come.

    Args:
        labels: of all rows, as :attr:`bench.verdict.row.Row.label`; those of a table from elsewhere make no line.
        rows: indices of those that count; all by default.
    """
    found = []
    for axis in AXES:
        together: dict[tuple[Any, ...], list[int]] = defaultdict(list)
        places: dict[int, tuple[int, int]] = {}
        for row in range(len(labels)) if rows is None else rows:
            if place := _place(axis, labels[row]):
                places[row] = place
                together[tuple(labels[row].get(name) for name in _SHARED[axis])].append(row)
        for shared, group in together.items():
            if len({places[row] for row in group}) > 1:
                order = sorted(group, key=places.__getitem__)
                at = tuple(_words(axis, labels[row]) for row in order)
                found.append(Line(axis, dict(zip(_SHARED[axis], shared, strict=True)), tuple(order), at))
    return found


def _place(axis: Axis, label: Mapping[str, Any]) -> tuple[int, int] | None:
    """Where a row lies on an axis, as something to sort by; None where that is unknown."""
    if axis == "depth":
        depth = label.get("depth")
        return None if depth is None else (not depth, depth)
    height, width = label.get("height"), label.get("width")
    return (height * width, height) if height and width else None


def _words(axis: Axis, label: Mapping[str, Any]) -> str:
    if axis == "depth":
        return f"depth {label['depth']}" if label["depth"] else "whole"
    return f"{label['height']}x{label['width']}"
