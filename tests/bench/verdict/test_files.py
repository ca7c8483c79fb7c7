from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.verdict.files import write_parquet
from export.errors import Unavailable


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(Unavailable, match="backbones-deployed\\[report\\]"):
        write_parquet([{"a": 1}], tmp_path / "x.parquet")
