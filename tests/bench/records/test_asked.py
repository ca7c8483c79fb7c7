from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import pytest

from bench.records.asked import Asked
from bench.records.parts import About, Cell, Environment, Failure, SampleSeries, ScenarioSubject, TaskSubject
from bench.records.record import ScoreRecord, TimingRecord
from export.errors import CellError
from export.spec import Metric

CELL = Cell("b", "e:p", "fp32", "cpu", (1, 8), 2)
TASK = TaskSubject(task="knn", version=1, data="set", data_digest="0123", settings={"k": 20})
SCENARIO = ScenarioSubject(scenario="offline", version=1, data="set", data_digest="0123")
SCORE = Asked(CELL, TASK, "aaaa", About(family="CNN"), Environment(id="m"), "2026-01-01T00:00:00+00:00")
TIMING = replace(SCORE, subject=SCENARIO, protocol="bbbb")
ACCURACY = (Metric.gain("accuracy", 50.0, "%", 4),)


def test_a_score_that_was_done() -> None:
    record = SCORE.done("0f0f", ACCURACY, per_sample=[100.0, 0.0], chosen={"k": 20}, about=About(dim=8), seconds=2.0)
    assert record == ScoreRecord(
        status="ok",
        key="0f0f",
        cell=CELL,
        subject=TASK,
        protocol="aaaa",
        metrics=ACCURACY,
        about=About(dim=8),
        environment=Environment(id="m"),
        started_at="2026-01-01T00:00:00+00:00",
        seconds=2.0,
        per_sample=[100.0, 0.0],
        chosen={"k": 20},
    )


def test_a_timing_that_was_done() -> None:
    series = [SampleSeries("batch_1", 0, [1, 2])]
    record = TIMING.done("0f0f", (Metric.gain("throughput", 9.0, "images/s"),), series=series)
    assert isinstance(record, TimingRecord)
    assert (record.status, record.series, record.main.value) == ("ok", series, 9)
    assert (record.about, record.failure) == (About(family="CNN"), None)


@pytest.mark.parametrize("asked", [SCORE, TIMING], ids=["score", "timing"])
def test_a_part_of_the_other_kind_is_refused(asked: Asked) -> None:
    other: dict[str, list[float]] = {"series": []} if asked is SCORE else {"per_sample": []}
    with pytest.raises(TypeError, match=next(iter(other))):
        asked.done("0f0f", ACCURACY, **other)


@pytest.mark.parametrize("asked", [SCORE, TIMING], ids=["score", "timing"])
def test_what_the_user_can_fix_failed_without_a_traceback(asked: Asked) -> None:
    record = asked.gave_up(CellError("It cannot be built.", "No such operator.", "another engine"))
    assert isinstance(record, ScoreRecord if asked is SCORE else TimingRecord)
    assert (record.status, record.key) == ("failed", asked.key)
    assert record.failure == Failure("CellError", "It cannot be built.", "No such operator.", "another engine")
    assert (record.metrics, record.subject, record.cell, record.protocol) == ((), asked.subject, CELL, asked.protocol)
    assert (record.about, record.environment, record.started_at) == (asked.about, asked.environment, asked.started_at)


def test_a_bug_failed_with_its_traceback() -> None:
    try:
        _ = [][7]
    except IndexError as error:
        record = SCORE.gave_up(error)
    assert record.status == "failed"
    assert record.failure is not None
    assert record.failure.bug
    assert record.failure.what == "A bug: IndexError: list index out of range"
    assert "_ = [][7]" in record.failure.traceback


def test_a_skip_keeps_its_reason() -> None:
    why = Failure("Skip", "It cannot run here.", "Missing: the driver.")
    record = TIMING.gave_up(why, "skipped")
    assert (record.status, record.failure, record.metrics) == ("skipped", why, ())


@pytest.mark.parametrize(
    "change",
    [
        {"environment": Environment(id="another machine")},
        {"cell": replace(CELL, backbone="c")},
        {"cell": replace(CELL, engine="f:p")},
        {"cell": replace(CELL, precision="int8")},
        {"cell": replace(CELL, preprocess="cuda")},
        {"cell": replace(CELL, batches=(1,))},
        {"cell": replace(CELL, threads=4)},
        {"protocol": "cccc"},
        {"subject": SCENARIO},
        {"subject": replace(TASK, task="retrieval")},
        {"subject": replace(TASK, version=2)},
        {"subject": replace(TASK, data_digest="4567")},
        {"subject": replace(TASK, seed=1)},
    ],
)
def test_whatever_is_asked_moves_the_key(change: dict[str, object]) -> None:
    assert replace(SCORE, **change).key != SCORE.key  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"about": About()},
        {"environment": replace(SCORE.environment, python="3.99")},
        {"started_at": "later"},
        {"subject": replace(TASK, data="renamed")},
    ],
)
def test_what_is_only_told_moves_no_key(change: dict[str, object]) -> None:
    assert replace(SCORE, **change).key == SCORE.key  # type: ignore[arg-type]


def test_two_kinds_of_failure_of_one_result_have_one_place() -> None:
    assert SCORE.gave_up(CellError("One.")).key == SCORE.gave_up(ValueError("other"), "skipped").key


def test_now_is_utc_to_the_second() -> None:
    asked = Asked.now(CELL, TASK, "aaaa", About(), Environment())
    then = datetime.fromisoformat(asked.started_at)
    assert then.tzinfo == timezone.utc
    assert abs((datetime.now(timezone.utc) - then).total_seconds()) < 60
    assert then.microsecond == 0
