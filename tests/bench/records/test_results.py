from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fake_records import Lab

from bench.records.record import Record
from bench.records.results import Results
from bench.verdict.row import Row
from bench.verdict.table import rows, sheet_of
from export.errors import UserError
from export.store import key

ONE = {"made_up_base": (2.1, 9.0, 25e6)}
ORT = {"ort:cpu": 1.0}
SMALL = Lab(backbones=ONE, engines=ORT)


def results(*records: Record) -> Results:
    return Results(records)


def only(found: Results) -> Row:
    [row] = rows(found)[0]
    return row


def test_a_folder_is_read_with_what_cannot_be_read_counted(tmp_path: Path) -> None:
    Lab().write(tmp_path)
    (tmp_path / "records" / "broken.json").write_text('{"schema": 1')
    (tmp_path / "records" / "later.json").write_text('{"schema": 99}')
    (tmp_path / "records" / "notes.txt").write_text("not looked at")
    found = Results.load(tmp_path)
    assert len(found.records) == len(Lab().records())
    assert [u.name for u in found.unread] == ["broken.json", "later.json"]
    assert "99" in found.unread[1].reason
    assert [n for n in sheet_of(found).notes if n.startswith("Not readable: broken.json")]
    assert Results.load(tmp_path / "records") == found


def test_no_folder_and_no_record_are_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no results folder"):
        Results.load(tmp_path / "absent")
    (tmp_path / "records").mkdir()
    with pytest.raises(UserError, match="holds no record"):
        Results.load(tmp_path)
    (tmp_path / "records" / "x.json").write_text("x")
    with pytest.raises(UserError, match="1 files could not be read"):
        Results.load(tmp_path)


def test_scores_and_costs_of_one_cell_stand_in_one_row() -> None:
    found = sheet_of(results(*SMALL.records()))
    row = next(i for i, label in enumerate(found.labels) if label["backbone"] == "made_up_base")
    assert found.status[row] == "ok"
    assert [s.name for s in found.settings] == ["knn@drawings", "linear_probe@drawings", "retrieval@drawings"]
    assert found.values[row, 0] == SMALL.score("made_up_base", "ort:cpu", "knn").metrics[0].value
    column, values = found.cost("latency_p50_ms")
    expected = SMALL.timing("made_up_base", "ort:cpu").metric("latency_p50_ms")
    assert expected is not None
    assert (column.unit, column.higher_is_better, values[row]) == ("ms", False, expected.value)
    assert found.cost("parameters_m")[1][row] == 25
    with pytest.raises(UserError, match="latency_p50_ms"):
        found.cost("latency_p50")


def test_a_cost_that_two_scenarios_report_is_named_by_its_scenario() -> None:
    names = [c.name for c in sheet_of(results(*SMALL.records())).costs]
    assert "peak_memory_mib" in names
    assert "offline.peak_memory_mib" in names
    assert "single_stream.peak_memory_mib" not in names


def test_a_percentile_without_enough_samples_stays_unknown() -> None:
    found = sheet_of(results(*SMALL.records()))
    assert all(value != value for value in found.cost("latency_p99_ms")[1])


def test_failures_and_skips_keep_their_reason() -> None:
    found = sheet_of(results(*Lab().records()))
    why = {found.name(i): (found.status[i], found.why[i]) for i in range(len(found.labels))}
    assert why["made_up_random · ort:cpu · fp32"] == (
        "skipped",
        "Untrained: random weights are timed, never scored.",
    )
    assert why["made_up_broken · ort:cpu · fp32"][0] == "failed"
    assert "Operator Einmal is unknown." in why["made_up_broken · ort:cpu · fp32"][1]
    assert why["made_up_off · ort:cpu · fp32"][0] == "parity"
    assert "0.91" in why["made_up_off · ort:cpu · fp32"][1]


def test_a_throttled_timing_is_void_and_a_disturbed_one_flagged() -> None:
    score = SMALL.score("made_up_base", "ort:cpu", "knn")
    hot = SMALL.timing("made_up_base", "ort:cpu", detail={"monitor": [{"throttled": True}]})
    row = only(results(score, hot))
    assert row.timings == {}
    assert row.judge() == ("ok", "single_stream: the processor throttled, so the timing is void")
    busy = SMALL.timing(
        "made_up_base", "ort:cpu", detail={"monitor": [{"disturbed": True, "foreign_share": 0.25}], "settled": False}
    )
    flags = only(results(score, busy)).flags
    assert any("25%" in flag for flag in flags)
    assert any("not settled" in flag for flag in flags)


def test_timings_of_two_machines_are_refused_until_one_is_chosen() -> None:
    other = replace(SMALL, machine="made-up-b", threads=8)
    both = results(
        SMALL.score("made_up_base", "ort:cpu", "knn"),
        SMALL.timing("made_up_base", "ort:cpu"),
        other.timing("made_up_base", "ort:cpu"),
    )
    with pytest.raises(UserError, match="2 machines") as refused:
        rows(both)
    assert "Imaginary CPU made-up-b" in refused.value.why
    assert "--machine" in refused.value.remedy
    row = only(both.choose(machine="made-up-b"))
    assert row.timings["single_stream"].environment["id"] == "made-up-b"
    assert row.scores, "a score belongs to the plan, whichever machine computed it"
    assert only(both.choose(machine="Imaginary CPU made-up-a")).timings["single_stream"].cell.threads == 2
    with pytest.raises(UserError, match="Unknown machine"):
        both.choose(machine="made-up-c")


@pytest.mark.parametrize(("change", "told"), [({"digest": "ffff0000"}, "ffff0000"), ({"version": 2}, "version 2")])
def test_scores_of_two_protocols_are_refused_until_one_is_chosen(change: dict[str, object], told: str) -> None:
    other = replace(SMALL, **change)  # type: ignore[arg-type]
    one, two = (lab.score("made_up_base", "ort:cpu", "knn") for lab in (SMALL, other))
    with pytest.raises(UserError, match="knn@drawings has results of 2 protocols") as refused:
        rows(results(one, two))
    assert told in refused.value.why
    assert f"--protocol {two.protocol}" in refused.value.remedy
    assert only(results(one, two).choose(protocols=[two.protocol])).scores == {"knn@drawings": two}


def test_data_are_chosen_by_name_or_digest_and_timings_follow_where_they_can() -> None:
    other = replace(SMALL, data="photos", digest="ffff0000")
    mixed = results(
        SMALL.score("made_up_base", "ort:cpu", "knn"),
        other.score("made_up_base", "ort:cpu", "knn"),
        SMALL.timing("made_up_base", "ort:cpu"),
        other.timing("made_up_base", "ort:cpu"),
        SMALL.timing("made_up_base", "ort:cpu", "offline"),
    )
    with pytest.raises(UserError, match="single_stream has results of 2 protocols"):
        rows(mixed)
    for chosen in ("photos", "ffff"):
        row = only(mixed.choose(data=[chosen]))
        assert list(row.scores) == ["knn@photos"]
        assert row.timings["single_stream"].subject["data"] == "photos"
        assert row.timings["offline"].subject["data"] == "drawings"
    with pytest.raises(UserError, match="Unknown data set"):
        mixed.choose(data=["pictures"])


def test_the_newest_plan_counts_and_what_is_older_is_counted() -> None:
    newer = replace(SMALL, build="2", day="2026-02-02")
    old = SMALL.score("made_up_base", "ort:cpu", "knn")
    new = newer.score("made_up_base", "ort:cpu", "knn")
    stale = SMALL.timing("made_up_base", "ort:cpu")
    [row], notes = rows(results(new, old, stale))
    assert row.scores == {"knn@drawings": new}
    assert row.timings == {}, "a cost of another plan does not stand beside this accuracy"
    assert notes == ["2 older records are left out: an earlier build of the plan, or measured again since."]


def test_of_two_records_of_one_subject_the_newer_counts() -> None:
    again = replace(SMALL, day="2026-03-03").timing("made_up_base", "ort:cpu")
    row = only(results(again, SMALL.timing("made_up_base", "ort:cpu")))
    assert row.timings["single_stream"] == again


def test_a_failure_does_not_hide_the_other_results_of_its_cell() -> None:
    good = SMALL.score("made_up_base", "ort:cpu", "knn")
    bad = SMALL.failure(SMALL.score("made_up_base", "ort:cpu", "retrieval"), "failed", "It did not work.")
    row = only(results(good, bad))
    assert row.judge() == ("ok", "retrieval@drawings: It did not work.")


def test_two_builds_of_one_plan_are_said() -> None:
    score = SMALL.score("made_up_base", "ort:cpu", "knn")
    timing = SMALL.timing("made_up_base", "ort:cpu")
    rebuilt = replace(timing, keys={**timing.keys, "plan_content": key("content", other=1)})
    assert "more than one build" in rows(results(score, rebuilt))[1][0]
