"""In which precision an engine really computes: counted over the operators that multiply by weights.

A file may ask for INT8 and an engine dequantise everything and compute in fp32: that is the file's accuracy, at fp32's
speed or worse. Such a cell is *emulated*, and is marked so.
"""

from __future__ import annotations

from collections.abc import Mapping

from export.spec import Precision


def emulated(precision: Precision, arithmetic: Mapping[str, int]) -> str:
    """Why a plan counts as emulated, for a reader; empty where most of its products run in the file's precision, or
    where the engine does not report it (``arithmetic`` is empty)."""
    total = sum(arithmetic.values())
    native = arithmetic.get(str(precision), 0)
    if not total or 2 * native >= total:
        return ""
    rest = " and ".join(sorted(name for name in arithmetic if name != str(precision)))
    return f"{native} of {total} products run in {precision}, the others in {rest}"
