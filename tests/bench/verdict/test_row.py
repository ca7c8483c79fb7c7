from __future__ import annotations

from dataclasses import replace

import pytest
from fake_records import CLOSE, FAR, SMALL, only

from bench.records.parts import Failure, GpuMonitoring, Monitoring
from bench.verdict.row import reason

SCORE = SMALL.score("made_up_base", "ort:cpu", "knn")
TIMING = SMALL.timing("made_up_base", "ort:cpu")


def test_a_throttled_timing_is_void_and_a_disturbed_one_flagged() -> None:
    hot = replace(TIMING, monitoring=[Monitoring(), Monitoring(throttled=True)])
    row = only(SCORE, hot)
    assert row.timings == {}
    assert row.judge() == ("ok", "single_stream: throttled in repeat 1, so the timing is void")
    weak = replace(TIMING, monitoring=[Monitoring(throttled=True, throttling=("under-voltage", "throttled"))])
    assert only(SCORE, weak).judge()[1] == (
        "single_stream: throttled in repeat 1 (under-voltage, throttled), so the timing is void"
    )
    restless = [replace(series, settled=False) for series in TIMING.series[-1:]]
    busy = replace(
        TIMING,
        monitoring=[Monitoring(0.01), Monitoring(0.25, disturbed=True)],
        series=[*TIMING.series[:-1], *restless],
    )
    flags = only(SCORE, busy).flags
    assert any(flag.text == "in repeat 1 other processes took 25% of the cores" for flag in flags)
    assert any("not settled" in flag.text for flag in flags)
    assert {flag.scenario for flag in flags} == {"single_stream"}


def test_a_flag_says_which_series_and_how_often_it_was_tried() -> None:
    quota = Monitoring(series="batch_8", repeat=2, throttled=True, throttling=("the container's CPU quota",))
    busy = Monitoring(0.31, series="batch_8", repeat=1, disturbed=True, attempts=3)
    stolen = Monitoring(series="batch_1", stolen_share=0.12, stolen=True)
    fine = Monitoring(0.04, series="batch_1", repeat=1)
    flags = only(SCORE, replace(TIMING, metrics=TIMING.metrics[:1], monitoring=[stolen, fine, busy])).flags
    assert [flag.text for flag in flags] == [
        "in batch_8 of repeat 2 other processes took 31% of the cores (the least disturbed of 3 attempts)",
        "in batch_1 of repeat 1 the hypervisor took 12% of the cores",
    ]
    void = replace(TIMING, monitoring=[quota, replace(quota, repeat=0), fine])
    assert only(SCORE, void).judge()[1] == (
        "single_stream: throttled in batch_8 of repeat 3 and batch_8 of repeat 1 (the container's CPU quota), so the "
        "timing is void"
    )
    many = [replace(busy, repeat=repeat, attempts=1) for repeat in range(5)]
    texts = [flag.text for flag in only(SCORE, replace(TIMING, monitoring=many)).flags]
    assert "disturbed in 2 more series" in texts


def test_other_processes_on_the_gpu_are_flagged() -> None:
    for others, words in ((0, None), (1, "1 other process on the GPU"), (2, "2 other processes on the GPU")):
        beside = [
            Monitoring(gpu=GpuMonitoring(1, others=min(others, 1))),
            Monitoring(gpu=GpuMonitoring(1, others=others)),
        ]
        flags = only(SCORE, replace(TIMING, metrics=TIMING.metrics[:1], monitoring=beside)).flags
        assert [flag.text for flag in flags] == ([words] if words else [])


def test_a_soak_that_throttles_is_flagged_and_not_void() -> None:
    hot = Monitoring(series="tenth_9", throttling=("thermal throttling",))
    row = only(SCORE, replace(TIMING, monitoring=[hot]))
    assert row.timings
    assert "in repeat 1 throttled (thermal throttling)" in [flag.text for flag in row.flags]


@pytest.mark.parametrize(("images", "said"), [(5, ["single_stream: only 5 different images in rotation"]), (64, [])])
def test_a_timing_over_few_different_images_is_flagged(images: int, said: list[str]) -> None:
    steady = replace(TIMING, metrics=TIMING.metrics[:1], monitoring=[])
    row = only(SCORE, replace(steady, subject=replace(steady.subject, images=images)))
    assert [str(flag) for flag in row.flags] == said


def test_a_steady_timing_has_no_flag() -> None:
    steady = replace(TIMING, metrics=TIMING.metrics[:1], monitoring=[Monitoring(0.04)])
    assert only(SCORE, steady).flags == []


def test_a_failure_does_not_hide_the_other_results_of_its_cell() -> None:
    bad = SMALL.failure(SMALL.score("made_up_base", "ort:cpu", "retrieval"), "failed", "It did not work.")
    assert only(SCORE, bad).judge() == ("ok", "retrieval@drawings: It did not work.")


def test_of_a_bug_a_table_says_the_first_line_and_the_record_keeps_the_traceback() -> None:
    try:
        raise ValueError("shapes do not match\n(1, 2) and (3, 4)")
    except ValueError as error:
        bad = replace(SMALL.failure(SCORE, "failed", ""), failure=Failure.of(error))
    assert reason(bad) == "knn@drawings: A bug: ValueError: shapes do not match"
    row = only(bad)
    assert row.judge() == ("failed", reason(bad))
    [trouble] = row.troubles
    assert trouble.failure is not None
    assert "test_row.py" in trouble.failure.traceback


@pytest.mark.parametrize(
    ("parity", "said"),
    [
        (FAR, "(features: cosine min 0.91, bound 0.99999, relative error 0.4, bound 0.002)"),
        (replace(FAR, cosine_bound=0, error_bound=0), "(features: cosine min 0.91, relative error 0.4)"),
        (
            replace(FAR, cosine_min=0.999984),
            "(features: cosine min 0.999984, bound 0.99999, relative error 0.4, bound 0.002)",
        ),
        (replace(FAR, output="map_s4", nonfinite=3), "bound 0.002, 3 values are NaN or Inf)"),
    ],
)
def test_parity_that_failed_says_how_far_it_is_off(parity: object, said: str) -> None:
    status, why = only(replace(SCORE, parity=parity), replace(TIMING, parity=CLOSE)).judge()  # type: ignore[arg-type]
    assert status == "parity"
    assert why.endswith(said)
