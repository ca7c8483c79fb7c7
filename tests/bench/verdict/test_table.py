from __future__ import annotations

from dataclasses import replace

import pytest
from fake_records import SMALL, Lab, only

from bench.records.asked import Asked
from bench.records.record import Record
from bench.records.results import Results
from bench.verdict.ranking import Ranking
from bench.verdict.show import markdown
from bench.verdict.table import rows, sheet_of
from export.errors import UserError
from export.store import key


def test_scores_and_costs_of_one_cell_stand_in_one_row() -> None:
    found = sheet_of(Results(tuple(SMALL.records())))
    row = next(i for i, label in enumerate(found.labels) if label["backbone"] == "made_up_base")
    assert found.status[row] == "ok"
    assert [s.name for s in found.settings] == ["knn@drawings", "linear_probe@drawings", "retrieval@drawings"]
    assert (found.settings[0].task, found.settings[0].data) == ("knn", "drawings")
    assert found.values[row, 0] == SMALL.score("made_up_base", "ort:cpu", "knn").main.value
    column, values = found.cost("latency_p50_ms")
    expected = SMALL.timing("made_up_base", "ort:cpu").metric("latency_p50_ms")
    assert expected is not None
    assert (column.unit, column.higher_is_better, values[row]) == ("ms", False, expected.value)
    assert found.cost("parameters_m")[1][row] == 25
    with pytest.raises(UserError, match="latency_p50_ms"):
        found.cost("latency_p50")


@pytest.mark.parametrize(
    "change",
    [
        {"backbone": "c"},
        {"engine": "f:p"},
        {"precision": "int8"},
        {"preprocess": "cuda"},
        {"batches": (1,)},
        {"size": "128x128"},
        {"depth": 2},
    ],
)
def test_a_cell_that_differs_in_one_field_is_another_row(change: dict[str, object]) -> None:
    score, timing = SMALL.score("made_up_base", "ort:cpu", "knn"), SMALL.timing("made_up_base", "ort:cpu")
    other = replace(timing, cell=replace(timing.cell, **change))  # type: ignore[arg-type]
    found = rows(Results((score, other)))[0]
    assert sorted((len(row.scores), len(row.timings)) for row in found) == [(0, 1), (1, 0)]


def test_two_networks_of_one_name_are_two_rows_with_two_names() -> None:
    one, timing = SMALL.score("made_up_base", "ort:cpu", "knn"), SMALL.timing("made_up_base", "ort:cpu")
    first, second, third = "a1b2c3d4e5", "00ff00ff00", ""
    of = {w: replace(one.cell, weights=w) for w in (first, second, third)}
    records = [replace(record, cell=cell) for cell in of.values() for record in (one, timing)]
    found, notes = rows(Results(tuple(records)))
    assert notes == []
    assert {row.cell.backbone: (row.cell.weights, len(row.scores), len(row.timings)) for row in found} == {
        "made_up_base #a1b2c3d4": (first, 1, 1),
        "made_up_base #00ff00ff": (second, 1, 1),
        "made_up_base #unknown weights": (third, 1, 1),
    }
    [alone] = rows(Results(tuple(records[:2])))[0]
    assert alone.cell.backbone == "made_up_base"
    [joined] = rows(Results((one, records[1])))[0]  # one network has the name, so an older record is of it
    assert (joined.cell, len(joined.scores), len(joined.timings)) == (alone.cell, 1, 1)


def test_cells_that_differ_in_preprocessing_or_batches_alone_are_named_by_it() -> None:
    one = SMALL.score("made_up_base", "ort:cpu", "knn")
    other = replace(one, cell=replace(one.cell, preprocess="cpu:exif"))
    third = replace(one, cell=replace(one.cell, batches=(1,)))

    def named(*records: Record) -> set[str]:
        found = sheet_of(Results(records))
        return {found.name(row) for row in range(len(found.labels))}

    assert named(one) == {"made_up_base · ort:cpu · fp32"}
    assert named(one, other) == {"made_up_base · ort:cpu · fp32 · cpu", "made_up_base · ort:cpu · fp32 · cpu:exif"}
    assert named(one, third) == {"made_up_base · ort:cpu · fp32 · 1,8", "made_up_base · ort:cpu · fp32 · 1"}


def test_the_failures_of_two_networks_of_one_name_do_not_replace_each_other() -> None:
    record = SMALL.score("made_up_base", "ort:cpu", "knn")
    asked = [
        Asked.now(replace(record.cell, weights=w), record.subject, "p", record.about, record.environment)
        for w in ("a1b2c3d4e5", "00ff00ff00")
    ]
    assert len({one.key for one in asked}) == 2


def test_how_the_data_were_read_is_said_once() -> None:
    records = [SMALL.score("made_up_base", "ort:cpu", task) for task in ("knn", "retrieval")]
    records = [replace(r, subject=replace(r.subject, remarks=("left out: 2 links (a, b)",))) for r in records]
    found = sheet_of(Results(tuple(records)))
    assert found.remarks == ("drawings: left out: 2 links (a, b)",)
    for page in (markdown(Ranking(found)), markdown(Ranking(found), everything=True)):
        assert page.count("drawings: left out: 2 links (a, b)") == 1


def test_cells_whose_names_join_alike_are_two_rows() -> None:
    one, other = SMALL.score("made_up_base", "ort:cpu", "knn"), SMALL.score("made_up_base", "ort:cpu", "retrieval")
    one = replace(one, cell=replace(one.cell, backbone="a · b", engine="c"))
    other = replace(other, cell=replace(other.cell, backbone="a", engine="b · c"))
    assert str(one.cell) == str(other.cell)
    assert [len(row.scores) for row in rows(Results((one, other)))[0]] == [1, 1]


def test_a_cost_that_two_scenarios_report_is_named_by_its_scenario() -> None:
    names = [c.name for c in sheet_of(Results(tuple(SMALL.records()))).costs]
    assert "peak_memory_mib" in names
    assert "offline.peak_memory_mib" in names
    assert "single_stream.peak_memory_mib" not in names


def test_a_percentile_without_enough_samples_stays_unknown() -> None:
    found = sheet_of(Results(tuple(SMALL.records())))
    assert all(value != value for value in found.cost("latency_p99_ms")[1])


def test_failures_and_skips_keep_their_reason() -> None:
    found = sheet_of(Results(tuple(Lab().records())))
    why = {found.name(i): (found.status[i], found.why[i]) for i in range(len(found.labels))}
    assert why["made_up_random · ort:cpu · fp32"] == (
        "skipped",
        "Untrained: random weights are timed, never scored.",
    )
    assert why["made_up_broken · ort:cpu · fp32"][0] == "failed"
    assert "Operator Einmal is unknown." in why["made_up_broken · ort:cpu · fp32"][1]
    assert why["made_up_off · ort:cpu · fp32"][0] == "parity"
    assert "0.91" in why["made_up_off · ort:cpu · fp32"][1]


def test_the_newest_plan_counts_and_what_is_older_is_counted() -> None:
    newer = replace(SMALL, build="2", day="2026-02-02")
    old = SMALL.score("made_up_base", "ort:cpu", "knn")
    new = newer.score("made_up_base", "ort:cpu", "knn")
    stale = SMALL.timing("made_up_base", "ort:cpu")
    [row], notes = rows(Results((new, old, stale)))
    assert row.scores == {"knn@drawings": new}
    assert row.timings == {}, "a cost of another plan does not stand beside this accuracy"
    assert notes == ["2 older records are left out: an earlier build of the plan, or measured again since."]


def test_of_two_records_of_one_subject_the_newer_counts() -> None:
    again = replace(SMALL, day="2026-03-03").timing("made_up_base", "ort:cpu")
    row = only(again, SMALL.timing("made_up_base", "ort:cpu"))
    assert row.timings["single_stream"] == again


def test_two_builds_of_one_plan_are_said() -> None:
    score = SMALL.score("made_up_base", "ort:cpu", "knn")
    timing = SMALL.timing("made_up_base", "ort:cpu")
    rebuilt = replace(timing, keys=replace(timing.keys, plan_content=key("content", other=1)))
    assert "more than one build" in rows(Results((score, rebuilt)))[1][0]


def test_an_input_that_was_rounded_is_said() -> None:
    one = SMALL.score("made_up_base", "ort:cpu", "knn")
    records = [
        replace(one, cell=replace(one.cell, size=asked), about=replace(one.about, input=taken))
        for asked, taken in (("128x128", (126, 126)), ("224x224", (224, 224)), ("", (196, 196)))
    ]
    notes = rows(Results(tuple(records)))[1]
    assert notes == ["Inputs are rounded to what the network takes: made_up_base takes 126x126 for 128x128."]


def test_rows_that_preprocess_otherwise_stand_beside_each_other_and_must_agree_in_all_else() -> None:
    lab = Lab()
    one = lab.timing("made_up_base", "ort:cpu")
    other = replace(one, key="other", protocol="ffff", cell=replace(one.cell, preprocess="pillow"))
    found, _ = rows(Results((one, other)))
    assert {row.cell.preprocess for row in found} == {"cpu", "pillow"}
    fewer = replace(other, cell=replace(other.cell, threads=1))
    with pytest.raises(UserError, match="2 protocols") as refused:
        rows(Results((one, fewer)))
    assert "threads 2" in refused.value.why
    pinned = replace(one, key="pinned", protocol="ffff", subject=replace(one.subject, settings={"pin": "0-1"}))
    with pytest.raises(UserError, match="2 protocols") as refused:
        rows(Results((one, pinned)))
    assert "pin None" in refused.value.why
    assert "pin 0-1" in refused.value.why
