from __future__ import annotations

from dataclasses import replace

import pytest
from fake_records import Lab

from bench.records.record import ScoreRecord
from bench.records.results import Results
from bench.report.cells import order
from bench.report.curves import STEPS, classes, distributions
from bench.verdict.ranking import Ranking
from bench.verdict.table import rows, sheet


def test_distributions_are_small_and_true() -> None:
    found, notes = rows(Results(tuple(Lab().records())))
    places = order(Ranking(sheet(found, notes)))
    curves = distributions(found, places)
    assert list(curves) == ["single_stream", "offline: batch 8"]
    name = "made_up_base · ort:cpu · fp32"
    curve = next(c for c in curves["single_stream"] if str(found[places[c["place"]]].cell) == name)
    record = Lab().timing("made_up_base", "ort:cpu")
    samples = sorted(v for series in record.series for v in series.samples)
    assert (curve["n"], len(curve["ms"])) == (300, STEPS + 1)
    assert curve["ms"][0] == pytest.approx(samples[0] / 1e6, rel=1e-3)
    assert curve["ms"][-1] == pytest.approx(samples[-1] / 1e6, rel=1e-3)
    median = record.metric("latency_p50_ms")
    assert median is not None
    assert curve["ms"][STEPS // 2] == pytest.approx(median.value, rel=1e-3)


def test_classes_are_found_by_setting_and_place() -> None:
    table = [{"class": "cat", "iou": 40.0}]
    records = [
        replace(r, by_class=table)
        if isinstance(r, ScoreRecord) and r.subject.task == "knn" and r.cell.backbone == "made_up_base"
        else r
        for r in Lab().records()
    ]
    found, notes = rows(Results(tuple(records)))
    places = order(Ranking(sheet(found, notes)))
    [(setting, by_place)] = classes(found, places).items()
    assert setting == "knn@drawings"
    assert {found[places[p]].cell.backbone for p in by_place} == {"made_up_base"}
    assert list(by_place.values()) == [table, table]
