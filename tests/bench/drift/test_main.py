"""One small network under two versions of ONNX Runtime, from the package index to the page."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from checkpoints import saved
from coloured import draw

from bench.drift.__main__ import main
from engines.catalog import BASELINE
from export.errors import UserError


def test_what_cannot_be_compared_is_refused_before_anything_runs(tmp_path: Path) -> None:
    where = ["--store", str(tmp_path / "store")]
    with pytest.raises(UserError, match="no library whose versions"):
        main(["--engines", BASELINE, *where])
    with pytest.raises(UserError, match="Unknown library 'onnx'"):
        main(["--before", "onnx=1.2", *where])


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.skipif(sys.version_info >= (3, 14), reason="ONNX Runtime 1.23.2 has no wheel for Python 3.14")
def test_two_versions_run_in_their_own_environments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    what = [*saved(tmp_path / "mine.pth"), "--data", str(draw(tmp_path / "set")), "--engines", "ort", "--tasks", "knn"]
    where = ["--store", str(tmp_path / "store"), "--markdown", str(tmp_path / "drift.md")]
    assert main([*what, *where, "--repeats", "2", "--seconds", "0.05", "--json"]) == 0
    [found] = json.loads(capsys.readouterr().out)
    assert (found["library"], found["before"]) == ("onnxruntime", "1.23.2")
    assert found["after"] != found["before"]
    assert {one["result"] for one in found["results"]} == {"knn@set", "single_stream"}
    assert all(values["least"] > 0.9999 for values in found["cosines"].values())
    assert (tmp_path / "drift.md").read_text().count("knn@set") == 1
