from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from fake_records import ODD, Lab

from bench.compare import main
from bench.records.record import Record
from bench.records.results import Results
from bench.verdict.comparison import Difference, compare
from bench.verdict.table import rows
from export.errors import UserError

LAB = Lab(backbones={"made_up_base": (1.0, 9.0, 25e6)}, engines={"ort:cpu": 1.0})


def verdicts(after: Lab) -> dict[str, Difference]:
    sides = [rows(Results(tuple(lab.records())))[0] for lab in (LAB, after)]
    found = compare(*sides)
    return {d.result: d for d in found if d.cell.startswith("made_up_base")}


def compared(before: Sequence[Record], after: Sequence[Record]) -> list[Difference]:
    return compare(*(rows(Results(tuple(side)))[0] for side in (before, after)))


def test_the_same_results_cannot_be_told_apart() -> None:
    assert {d.verdict for d in verdicts(LAB).values()} == {"ambiguous"}


def test_other_weights_of_the_same_name_are_compared_and_said() -> None:
    before = LAB.score("made_up_base", "ort:cpu", "knn")
    after = replace(before, cell=replace(before.cell, weights="a1b2c3d4e5"))
    assert [d.cell for d in compared([before], [before])] == ["made_up_base · ort:cpu · fp32"]
    assert [d.cell for d in compared([before], [after])] == ["made_up_base · ort:cpu · fp32 (other weights)"]


def test_a_clear_change_is_named_in_the_metric_s_own_direction() -> None:
    found = verdicts(replace(LAB, backbones={"made_up_base": (2.5, 18.0, 25e6)}))
    assert found["knn@drawings"].verdict == "better"
    assert (found["knn@drawings"].low or 0) > 0
    assert found["single_stream"].verdict == "worse"
    assert found["offline"].verdict == "worse"
    assert (found["offline"].high or 0) < 0


def test_a_timing_within_its_spread_is_ambiguous() -> None:
    assert verdicts(replace(LAB, backbones={"made_up_base": (1.0, 9.3, 25e6)}))["single_stream"].verdict == "ambiguous"


def test_a_change_within_the_luck_of_the_training_draws_is_ambiguous() -> None:
    def drawn(lab: Lab, moves: list[float]) -> Results:
        records = [lab.score("made_up_base", "ort:cpu", "knn")]
        return Results(tuple(replace(r, per_draw=[(r.metrics[0].value or 0) + m for m in moves]) for r in records))

    better = replace(LAB, backbones={"made_up_base": (1.6, 9.0, 25e6)})
    for moves, verdict in (([-1.0, 0, 1], "better"), ([-60.0, 0, 60], "ambiguous")):
        sides = [rows(found)[0] for found in (drawn(LAB, [0.0, 0, 0]), drawn(better, moves))]
        assert [d.verdict for d in compare(*sides)] == [verdict]


def test_other_data_or_another_machine_is_not_compared() -> None:
    found = verdicts(replace(LAB, digest="ffff0000", machine="made-up-b"))
    assert {d.verdict for d in found.values()} == {"not comparable"}
    assert all(d.low is None and d.why for d in found.values())


def test_the_command_prints_a_table_or_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = LAB.write(tmp_path / "one"), LAB.write(tmp_path / "two")
    assert main([str(one), str(two)]) == 0
    assert "ambiguous" in capsys.readouterr().out
    assert main([str(one), str(two), "--json"]) == 0
    assert {d["verdict"] for d in json.loads(capsys.readouterr().out)["results"]} == {"ambiguous"}


def test_a_data_set_is_one_whatever_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labs = [replace(LAB, data=ODD), replace(LAB, data="a"), replace(LAB, data="a→b", digest="ffff0000")]
    one, *others = [[lab.score("made_up_base", "ort:cpu", "knn")] for lab in labs]
    assert [d.result for d in compared(one, [*one, *others[0], *others[1]])] == [f"knn@{ODD}"]
    folders = [str(labs[0].write(tmp_path / side)) for side in ("one", "two")]
    assert main(folders) == 0
    assert f"knn@{ODD} " in capsys.readouterr().out


def test_a_cell_is_compared_with_the_one_of_the_same_fields() -> None:
    """Two cells whose names read alike stand in one folder."""
    record = LAB.score("made_up_base", "ort:cpu", "knn")
    twin = replace(record, cell=replace(record.cell, preprocess="cuda"))
    worse = replace(twin, per_sample=[0.0] * 200, metrics=(replace(twin.main, value=0.0), *twin.metrics[1:]))
    assert [d.verdict for d in compared([record, twin], [record, worse])] == ["ambiguous", "worse"]
    assert [d.verdict for d in compared([twin, record], [worse])] == ["worse"]
    assert compared([record], [worse]) == []


def test_threads_make_a_timing_incomparable_and_not_another_cell() -> None:
    assert verdicts(replace(LAB, threads=8))["single_stream"].why.startswith("other data, task version")


def test_folders_that_share_nothing_are_said(tmp_path: Path) -> None:
    for name, backbone in (("one", "made_up_a"), ("two", "made_up_b")):
        lab = replace(LAB, backbones={backbone: (1.0, 9.0, 25e6)})
        lab.score(backbone, "ort:cpu", "knn").write(tmp_path / name / "records")
    with pytest.raises(UserError, match="share no result"):
        main([str(tmp_path / "one"), str(tmp_path / "two")])
