"""The verdict as one HTML page that works offline: ``write(results, path)``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.records.results import Results


def write(results: Results, path: Path, cost: str = "", photographs: bool = True) -> Path:
    """Write the report of ``results`` to ``path``; returns it.

    Args:
        cost: the column that the plot opens with; empty for median latency.
        photographs: embed thumbnails of test photographs, and pictures of predictions, where the results folder has
            some.

    Raises:
        UserError: the records may not be compared, or ``path`` cannot be written.
    """
    from bench.report.page import page
    from export.store import write_atomic

    write_atomic(path, page(results if photographs else replace(results, pictures=None), cost).encode())
    return path
