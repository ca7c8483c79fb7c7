from __future__ import annotations

from pathlib import Path

import pytest
from fake_records import Lab

from bench import plot
from bench.records.record import ScoreRecord
from export.errors import UserError

pytest.importorskip("matplotlib")


def test_two_files_for_each_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Lab().write(tmp_path / "results")
    assert plot.main([str(folder)]) == 0
    assert capsys.readouterr().out.splitlines() == [str(folder / f"front-{theme}.svg") for theme in ("light", "dark")]
    assert (folder / "front-dark.svg").read_bytes().startswith(b"<?xml")
    assert plot.main([str(folder), "--kind", "tasks", "--png", "--out", str(tmp_path / "pictures")]) == 0
    assert (tmp_path / "pictures" / "tasks-light.png").read_bytes().startswith(b"\x89PNG")


def test_scores_alone_have_no_front(tmp_path: Path) -> None:
    for record in Lab().records():
        if isinstance(record, ScoreRecord):
            record.write(tmp_path / "records")
    with pytest.raises(UserError, match=r"Unknown cost column"):
        plot.main([str(tmp_path), "--cost", "latency_p50_ms"])
