from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fake_records import ODD, SMALL, Lab, only

from bench.records.results import Results
from bench.verdict.table import rows, sheet_of
from export.errors import UserError


def test_a_folder_is_read_with_what_cannot_be_read_counted(tmp_path: Path) -> None:
    Lab().write(tmp_path)
    (tmp_path / "records" / "broken.json").write_text('{"schema": 1')
    (tmp_path / "records" / "later.json").write_text('{"schema": 99}')
    (tmp_path / "records" / "notes.txt").write_text("not looked at")
    found = Results.load(tmp_path)
    assert len(found.records) == len(Lab().records())
    assert [u.name for u in found.unread] == ["broken.json", "later.json"]
    assert "truncated" in found.unread[0].reason
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


def test_timings_of_two_machines_are_refused_until_one_is_chosen() -> None:
    other = replace(SMALL, machine="made-up-b", threads=8)
    both = Results(
        (
            SMALL.score("made_up_base", "ort:cpu", "knn"),
            SMALL.timing("made_up_base", "ort:cpu"),
            other.timing("made_up_base", "ort:cpu"),
        )
    )
    with pytest.raises(UserError, match="2 machines") as refused:
        rows(both)
    assert "Imaginary CPU made-up-b" in refused.value.why
    assert "--machine" in refused.value.remedy
    row = only(*both.choose(machine="made-up-b").records)
    assert row.timings["single_stream"].environment.id == "made-up-b"
    assert row.scores, "a score belongs to the plan, whichever machine computed it"
    named = only(*both.choose(machine="Imaginary CPU made-up-a").records)
    assert named.timings["single_stream"].cell.threads == 2
    with pytest.raises(UserError, match="Unknown machine") as nowhere:
        both.choose(machine="made-up-c")
    assert "made-up-b (Imaginary CPU made-up-b)" in nowhere.value.why


def test_two_power_modes_of_one_board_read_differently() -> None:
    score, timing = SMALL.score("made_up_base", "ort:cpu", "knn"), SMALL.timing("made_up_base", "ort:cpu")
    board = replace(timing.environment, board="Imaginary Board", jetpack="6.2")
    small = replace(timing, key="a", environment=replace(board, id="aaaa1111", power_mode="15W"))
    large = replace(timing, key="b", environment=replace(board, id="bbbb2222", power_mode="MAXN"))
    both = Results((score, small, large))
    for found in (both, both.choose(machine="Imaginary Board")):
        with pytest.raises(UserError, match="2 machines") as refused:
            rows(found)
        assert "aaaa1111 is Imaginary Board (JetPack 6.2, 15W) (1 records)" in refused.value.why
        assert "bbbb2222 is Imaginary Board (JetPack 6.2, MAXN) (1 records)" in refused.value.why
    assert both.choose(machine="Imaginary Board (JetPack 6.2, 15W)").records == (small, score)
    side_by_side, _ = rows(both, by_machine=True)
    assert {"Imaginary Board (JetPack 6.2, 15W)", "Imaginary Board (JetPack 6.2, MAXN)"} <= {
        row.machine for row in side_by_side
    }


def test_an_id_is_known_by_its_beginning_and_a_machine_by_a_part_of_its_name() -> None:
    timing = SMALL.timing("made_up_base", "ort:cpu")
    found = Results((SMALL.score("made_up_base", "ort:cpu", "knn"), timing))
    assert found.choose(machine="made").records == found.records
    assert found.choose(protocols=[timing.protocol[:4]]).records == found.records
    assert found.choose(data=["d1a2"]).records == found.records
    with pytest.raises(UserError, match="Unknown data set 'draw'"):
        found.choose(data=["draw"])
    with pytest.raises(UserError, match="Unknown data set 'd1a'"):
        found.choose(data=["d1a"])
    assert found.choose(machine="imaginary").records == found.records
    both = Results((*found.records, replace(SMALL, machine="made-up-b").timing("made_up_base", "ort:cpu")))
    with pytest.raises(UserError, match="Unknown machine 'Imaginary'"):
        both.choose(machine="Imaginary")


def test_the_data_that_are_chosen_are_not_those_whose_name_begins_alike() -> None:
    labs = [replace(SMALL, data=name, digest=key) for name, key in (("a", "1111"), ("a→b", "2222"), (ODD, "3333"))]
    records = [lab.score("made_up_base", "ort:cpu", "knn") for lab in labs]
    for record in records:
        assert Results(tuple(records)).choose(data=[record.subject.data]).records == (record,)


@pytest.mark.parametrize(("change", "told"), [({"digest": "ffff0000"}, "ffff0000"), ({"version": 2}, "version 2")])
def test_scores_of_two_protocols_are_refused_until_one_is_chosen(change: dict[str, object], told: str) -> None:
    other = replace(SMALL, **change)  # type: ignore[arg-type]
    one, two = (lab.score("made_up_base", "ort:cpu", "knn") for lab in (SMALL, other))
    both = Results((one, two))
    with pytest.raises(UserError, match="knn@drawings has results of 2 protocols") as refused:
        rows(both)
    assert told in refused.value.why
    assert f"--protocol {two.protocol}" in refused.value.remedy
    assert only(*both.choose(protocols=[two.protocol]).records).scores == {"knn@drawings": two}


def test_data_are_chosen_by_name_or_digest_and_timings_follow_where_they_can() -> None:
    other = replace(SMALL, data="photos", digest="ffff0000")
    mixed = Results(
        (
            SMALL.score("made_up_base", "ort:cpu", "knn"),
            other.score("made_up_base", "ort:cpu", "knn"),
            SMALL.timing("made_up_base", "ort:cpu"),
            other.timing("made_up_base", "ort:cpu"),
            SMALL.timing("made_up_base", "ort:cpu", "offline"),
        )
    )
    with pytest.raises(UserError, match="single_stream has results of 2 protocols"):
        rows(mixed)
    for chosen in ("photos", "ffff"):
        row = only(*mixed.choose(data=[chosen]).records)
        assert list(row.scores) == ["knn@photos"]
        assert row.timings["single_stream"].subject.data == "photos"
        assert row.timings["offline"].subject.data == "drawings"
    with pytest.raises(UserError, match="Unknown data set"):
        mixed.choose(data=["pictures"])
