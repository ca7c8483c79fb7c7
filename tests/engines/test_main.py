"""The table of engines, and that listing loads nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from engines.__main__ import main
from engines.catalog import ENGINES

ROOT = Path(__file__).resolve().parents[2]


def test_json_holds_every_engine_and_provider(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    expected = {f"{name}:{provider}" for name in ENGINES for provider in ENGINES.get(name).providers}
    assert {row["engine"] for row in rows} == expected
    for row in rows:
        assert row["ok"] or row["reason"]
        assert row["precisions"]


def test_table_says_why_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert "what would enable it" in shown
    assert all(f"{name}:" in shown for name in ENGINES)


def test_importing_every_plug_in_loads_no_library() -> None:
    heavy = ("torch", "onnxruntime", "openvino", "ncnn", "ai_edge_litert", "timm", "onnx", "rich")
    code = (
        "import sys\n"
        "from engines.catalog import ENGINES\n"
        "from engines.preprocess.catalog import PATHS, identity\n"
        "[ENGINES.get(n) for n in ENGINES]; [identity(n) for n in PATHS]\n"
        f"print([n for n in {heavy!r} if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
