"""Where labels of points may stand so that nothing overlaps: plain geometry, in pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

DISTANCES = (8.0, 14.0, 22.0, 32.0, 44.0, 58.0, 74.0)
"""Between a point and the nearest corner or edge of its label; the nearest place that is free is taken."""
ANGLES = (90, 45, 135, -45, -135, -90, 0, 180, 65, 115, -65, -115, 25, 155, -25, -155)
"""Directions in degrees, counterclockwise from the right; above is tried first."""
MARGIN = 2.0
LEADER = 10.0
"""A label that is further away than this has a line to its point."""


@dataclass(frozen=True)
class Box:
    """A rectangle; y grows upwards."""

    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: Box) -> float:
        """The area that both share."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(wide, 0.0) * max(high, 0.0)

    def outside(self, bounds: Box) -> float:
        """The area that lies outside of ``bounds``."""
        return (self.right - self.left) * (self.top - self.bottom) - self.overlap(bounds)


def place(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    obstacles: Sequence[Box],
    bounds: Box,
) -> list[Box]:
    """A box of each label, at the nearest place where it covers neither an obstacle nor another label.

    Where no place is free, the one that covers least is taken.

    Args:
        points: what is labelled; sizes: width and height of the labels. obstacles: what they may not cover.
    """
    placed: list[Box] = []
    taken = list(obstacles)
    for point, (width, height) in zip(points, sizes, strict=True):
        best, least = None, math.inf
        for distance in DISTANCES:
            for angle in ANGLES:
                box = _box(point, width, height, distance, math.radians(angle))
                wide = Box(box.left - MARGIN, box.bottom - MARGIN, box.right + MARGIN, box.top + MARGIN)
                crossed = sum(other.overlap(dot) for dot in leader(point, box) for other in placed)
                covered = sum(map(wide.overlap, (*taken, *placed))) + 3 * wide.outside(bounds) + 20 * crossed
                if covered < least - 1e-9:
                    best, least = box, covered
            if least <= 0:
                break
        assert best is not None
        placed.append(best)
        taken += leader(point, best)
    return placed


def leader(point: tuple[float, float], box: Box) -> list[Box]:
    """The line from a point to its label, as small boxes; none where the label is near."""
    x, y = nearest(point, box)
    length = math.dist(point, (x, y))
    if length <= LEADER:
        return []
    steps = [i / math.ceil(length / 3) for i in range(2, math.ceil(length / 3))]
    centres = [(point[0] + t * (x - point[0]), point[1] + t * (y - point[1])) for t in steps]
    return [Box(cx - 1, cy - 1, cx + 1, cy + 1) for cx, cy in centres]


def nearest(point: tuple[float, float], box: Box) -> tuple[float, float]:
    """The point of the box that is nearest."""
    return min(max(point[0], box.left), box.right), min(max(point[1], box.bottom), box.top)


def _box(point: tuple[float, float], width: float, height: float, distance: float, angle: float) -> Box:
    """The label in this direction: beside the point by its edge or corner, centred only straight above and aside."""
    left = point[0] + math.cos(angle) * distance - width * _share(math.cos(angle))
    bottom = point[1] + math.sin(angle) * distance - height * _share(math.sin(angle))
    return Box(left, bottom, left + width, bottom + height)


def _share(direction: float) -> float:
    """How much of a label lies before the point: none of it, all, or half."""
    return 0.5 if abs(direction) < 0.2 else 0.0 if direction > 0 else 1.0
