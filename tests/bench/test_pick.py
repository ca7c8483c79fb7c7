from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_records import Lab

from bench.pick import main
from export.errors import UserError


def test_the_first_line_says_what_to_ship_and_the_rest_what_a_limit_would_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(Lab().write(tmp_path))
    given = [folder, "--max", "latency_p50_ms=5", "--min", "throughput_images_per_s=1"]
    assert main(given) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Ship made_up_small · openvino:cpu · fp32: latency p50 ")
    assert len(lines) < 25
    assert max(map(len, lines)) <= 120
    text = " ".join(lines)
    assert "latency_p50_ms ≤ 5 is binding: from 7.4" in text
    assert "throughput_images_per_s ≥ 1 is not binding" in text
    assert main([*given, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [limit["binding"] for limit in found["limits"]] == [True, False]
    assert found["pick"]["backbone"] == "made_up_small"
    assert {k: found["limits"][0][k] for k in ("column", "value", "least")} == {
        "column": "latency_p50_ms",
        "value": 5.0,
        "least": False,
    }
    assert " ".join(found["sentences"]) in " ".join(text.split())


def test_a_budget_that_nothing_meets_is_refused_with_the_nearest_cell(tmp_path: Path) -> None:
    folder = str(Lab().write(tmp_path))
    with pytest.raises(UserError, match=r"latency_p50_ms ≤ 1\.\nThe nearest is made_up_tiny · openvino:cpu · fp32: "):
        main([folder, "--max", "latency_p50_ms=1"])
