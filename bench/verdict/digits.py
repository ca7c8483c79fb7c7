"""Numbers as people read them: three significant digits, and an error with as many decimals as its value."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

DIGITS = 3
MOST = 6
"""Decimals at most, whatever the numbers."""


def number(value: float) -> str:
    """Three significant digits, all digits before the point: 0.0123, 4.57, 12.3, 1,234; unknown is ``n/a``."""
    if value != value:
        return "n/a"
    return f"{value:,.{_decimals(abs(value))}f}" if value else "0"


def share(value: float | None) -> str:
    """A part of one as whole percent; more than nothing is never shown as 0, less than all never as 100."""
    if value is None:
        return "n/a"
    if 0 < value < 0.005:
        return "< 1"
    return "> 99" if 0.995 <= value < 1 else f"{100 * value:.0f}"


def decimals(values: Iterable[float], errors: Iterable[float] = ()) -> int:
    """Decimals for a column of scores: three significant digits of the median score, and more where that would show
    the median error, or without errors the column's whole range, as zero.

    Args:
        values, errors: NaN where there is none.
    """
    sizes = [abs(v) for v in values if v == v]
    if not sizes:
        return 1
    known = [e for e in errors if e == e and e > 0]
    least = float(np.median(known)) if known else max(sizes) - min(sizes)
    first = -math.floor(math.log10(least)) if least else 0  # the decimal in which it begins
    return min(max(_decimals(float(np.median(sizes))), first), MOST)


def with_error(value: float | None, error: float | None, places: int) -> str:
    """``59.6±1.7``, without the error where it is unknown; ``n/a`` without a value."""
    if value is None or value != value:
        return "n/a"
    return f"{value:.{places}f}" + (f"±{error:.{places}f}" if error is not None and error == error else "")


def _decimals(size: float) -> int:
    if not size:
        return DIGITS - 1
    return min(max(DIGITS - 1 - math.floor(math.log10(size)), 0), MOST)
