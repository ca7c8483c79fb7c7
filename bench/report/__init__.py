"""The verdict as one HTML page that works offline: ``write(results, path)``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.records.results import Results
    from bench.verdict.money import Load, Price


def write(
    results: Results,
    path: Path,
    cost: str = "",
    photographs: bool = True,
    prices: Sequence[Price] = (),
    load: Load | None = None,
) -> Path:
    """Write the report of ``results`` to ``path``; returns it.

    Args:
        cost: the column that the plot opens with; empty for median latency.
        photographs: embed thumbnails of test photographs, and pictures of predictions, where the results folder has
            some.
        prices, load: what columns of money are made from.

    Raises:
        UserError: the records may not be compared, or ``path`` cannot be written.
    """
    from bench.report.page import page
    from export.store import write_atomic

    shown = results if photographs else replace(results, pictures=None)
    write_atomic(path, page(shown, cost, prices, load).encode())
    return path
