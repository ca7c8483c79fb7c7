"""Rows and pages as text and as files: JSON, CSV, Parquet. A file is written whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from export.errors import not_installed
from export.store import write_atomic


def as_json(value: Any) -> str:
    """JSON as a person may read it too; dataclasses become objects.

    Raises:
        TypeError: a part of it is neither a JSON value nor a dataclass.
    """
    return json.dumps(value, indent=1, ensure_ascii=False, default=asdict)


def write_csv(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write flat rows as CSV; an unknown value is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write(path, text.getvalue())


def write_parquet(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write flat rows as Parquet.

    Raises:
        Unavailable: pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise not_installed("pyarrow", error) from error
    buffer = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), buffer)
    write(path, buffer.getvalue().to_pybytes())


def write(path: Path, content: str | bytes) -> None:
    """Write a file, and say so on standard error.

    Raises:
        UserError: it cannot be written.
    """
    write_atomic(path, content.encode() if isinstance(content, str) else content)
    print(f"wrote {path}", file=sys.stderr)
