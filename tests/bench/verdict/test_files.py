from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from fake_records import ODD

from bench.records.parts import Shift
from bench.verdict.files import as_json, write_parquet
from export.errors import Unavailable


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(Unavailable, match="backbones-deployed\\[parquet\\]"):
        write_parquet([{"a": 1}], tmp_path / "x.parquet")


def test_json_is_of_plain_values_and_dataclasses_and_of_nothing_else() -> None:
    text = as_json({"found": [Shift(ODD, "b", ("c",))], "none": None})
    assert ODD in text
    assert json.loads(text) == {"found": [{"fitted": ODD, "seen": "b", "without": ["c"]}], "none": None}
    with pytest.raises(TypeError):
        as_json({"path": Path("x")})
