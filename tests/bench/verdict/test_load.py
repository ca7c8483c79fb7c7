from __future__ import annotations

from fake_records import Lab, only

from bench.records.parts import ScenarioSubject
from bench.records.record import TimingRecord
from bench.verdict.load import load
from bench.verdict.row import Row
from export.spec import Metric


def timing(backbone: str, scenario: str, *metrics: Metric, **settings: object) -> TimingRecord:
    subject = ScenarioSubject(version=1, data="toy", data_digest="d", scenario=scenario, settings=settings)
    return Lab().timing(backbone, "ort:cpu", scenario, metrics=metrics, subject=subject)


def cell(backbone: str, rate: float | None) -> Row:
    low, high = (None, None) if rate is None else (rate * 0.9, rate * 1.1)
    return only(
        Lab().timing(backbone, "ort:cpu"),
        timing(
            backbone,
            "server",
            Metric.gain("server_images_per_s", rate, "images/s"),
            Metric.gain("server_low_images_per_s", low, "images/s"),
            Metric.gain("server_high_images_per_s", high, "images/s"),
            slo="p99=50ms",
        ),
        timing(backbone, "camera", Metric.cost("camera_5fps_p50_ms", 21.0, "ms"), fps=[5]),
        timing(
            backbone,
            "soak",
            Metric.cost("soak_end_p50_ms", 12.0, "ms"),
            Metric.cost("soak_start_p50_ms", 10.0, "ms"),
        ),
    )


def test_a_row_has_every_scenario_and_the_busiest_cell_comes_first() -> None:
    slow, fast, *_ = Lab().backbones
    head, _, *rows = load([cell(slow, None), cell(fast, 100.0)]).splitlines()[:4]
    assert "highest rate at p99=50ms, images/s" in head
    assert "camera at 5 fps, p50, ms" in head
    assert [row.split(" | ")[0].strip("| ") for row in rows] == [fast, slow]
    assert rows[0].endswith("| 100 | 90.0 … 110 | 21.0 | 10.0 → 12.0 |")
    assert rows[1].endswith("| n/a | – | 21.0 | 10.0 → 12.0 |")


def test_what_was_not_measured_has_a_dash() -> None:
    name = next(iter(Lab().backbones))
    [_, _, row] = load([only(Lab().timing(name, "ort:cpu"))]).splitlines()
    assert row.endswith("| n/a | – | – | – |"), "p99 has too few samples"
