from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fake_records import Lab
from project import ROOT

from bench import publish, rank
from bench.records import results
from export.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Lab().write(tmp_path / "results")


def ranks(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, tuple[object, ...]]:
    assert rank.main([*arguments, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    return {
        f"{r['backbone']} {r['engine']}": tuple(
            r[name] for name in ("status", "why", "rank_low", "rank_high", "on_front")
        )
        for r in rows
    }


def test_the_published_file_ranks_like_the_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "published.xz"
    monkeypatch.setattr(results, "PUBLISHED", target)
    with pytest.raises(UserError, match="without published records"):
        rank.main(["--published"])
    assert publish.main([str(folder)]) == 0
    out, err = capsys.readouterr()
    assert out == f"{target}\n"
    assert "14 cells" in err
    assert ranks(capsys, "--published") == ranks(capsys, str(folder)) == ranks(capsys, str(target))
    assert rank.main(["--published"]) == 0
    assert "bob rank --published --all" in capsys.readouterr().out


def test_a_file_that_is_too_large_is_not_left_behind(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "old.xz").write_bytes(b"what was published before")
    monkeypatch.setattr(publish, "MOST", 1000)
    with pytest.raises(UserError, match="at most 1,000 are allowed"):
        publish.main([str(folder), "--out", str(tmp_path / "x.xz")])
    assert not (tmp_path / "x.xz").exists()
    with pytest.raises(UserError, match="at most 1,000 are allowed"):
        publish.main([str(folder), "--out", str(tmp_path / "old.xz")])
    assert (tmp_path / "old.xz").read_bytes() == b"what was published before"


@pytest.mark.parametrize("command", ["rank", "pick"])
def test_reading_needs_no_more_than_the_reading_half(folder: Path, command: str) -> None:
    """Neither frameworks, nor engines, nor tasks: before any of them is installed, records can be ranked."""
    code = (
        f"import sys\nfrom bench import {command} as command\ncommand.main([{str(folder)!r}])\n"
        "third = {name.partition('.')[0] for name in sys.modules} & "
        "{'torch', 'timm', 'onnx', 'onnxruntime', 'openvino', 'scipy', 'PIL', 'matplotlib', 'pyarrow'}\n"
        "own = {name for name in sys.modules if name.startswith(('engines', 'tasks', 'export.zoo.', 'bench.sweep'))}\n"
        "sys.exit(f'loaded {third | own}' if third | own else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
