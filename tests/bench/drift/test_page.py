from __future__ import annotations

from pathlib import Path

import pytest

from bench.drift.page import closeness, document, page, verdict
from bench.drift.sides import Drift
from bench.drift.versions import Wheel
from bench.verdict.comparison import Difference, Verdict

CELL = "made_up · ort:cpu · fp32"


def drift(least: float = 1.0, judged: Verdict = "ambiguous", why: str = "") -> Drift:
    before, after = (Wheel("onnxruntime", version, Path("wheel")) for version in ("1.23.2", "1.32.0"))
    results = [
        Difference(CELL, "knn@drawings", "accuracy", "%", 75.0, 76.0, -1.0, 3.0, "ambiguous"),
        Difference(CELL, "single_stream", "latency_p50_ms", "ms", 10.0, 12.0, 1.0, 3.0, judged, why),
    ]
    return Drift(before, after, {CELL: (least, least)}, results)


def test_what_did_not_change_is_said() -> None:
    assert verdict(drift()) == "The features are bit for bit the same; no result changed beyond its interval."
    text = page([drift()], "a machine", "2026-01-01")
    assert "## onnxruntime 1.23.2 → 1.32.0" in text
    assert f"| {CELL} | 1 | knn@drawings accuracy | 75.0 % | 76.0 % | -1 … +3 | no |" in text
    assert "Measured on a machine, 2026-01-01." in text


def test_what_changed_beyond_its_interval_is_named() -> None:
    said = verdict(drift(0.98765, "worse"))
    assert said.startswith("The least cosine is 0.987650; 1 of 2 results changed beyond their interval")
    assert f"single_stream of {CELL} (worse)" in said
    assert document(drift(0.5))["cosines"] == {CELL: {"least": 0.5, "mean": 0.5}}


def test_a_timing_beside_busy_processes_is_not_judged() -> None:
    found = drift(judged="not comparable", why="not judged: other processes were busy")
    assert "not judged: other processes were busy |" in page([found], "a machine", "today")
    assert "no result changed" in verdict(found)


@pytest.mark.parametrize(("value", "said"), [(1.0, "1"), (0.9999999, "0.999999900"), (0.97, "0.970000")])
def test_a_cosine_has_the_digits_that_tell_it_from_1(value: float, said: str) -> None:
    assert closeness(value) == said
