"""Pretraining data that hold the test images: what the table says, and what it does to ranks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from fake_records import Lab

from bench import rank
from bench.records.record import Record, ScoreRecord
from bench.records.results import Results
from bench.verdict.overlap import ORDER, STEPS, Overlap, Strength, facts, overlap, published
from bench.verdict.ranking import Options, Ranking
from bench.verdict.sheet import Column, Sheet
from bench.verdict.table import sheet_of
from export.zoo.backbones import listing
from tasks.data.named import NAMED

NO_IMAGES_ON_THE_WEB = {"digits", "toy"}
NOTHING_PUBLISHED = {
    "unlabelled photographs",
    "private photographs",
    "unpublished data",
    "saliency masks",
    "depth sets",
    "DISC",
}


def test_every_data_set_and_every_pretraining_of_the_zoo_is_in_the_table() -> None:
    table = facts()
    assert set(table["published"]) == set(NAMED) - NO_IMAGES_ON_THE_WEB
    parts = {part for row in listing() for part in STEPS.split(row.pretrain_data) if part}
    assert parts - NOTHING_PUBLISHED == set(table["pretraining"])
    assert set(get_args(Strength)) == set(ORDER)


def test_every_fact_has_a_source() -> None:
    for name, known in facts()["pretraining"].items():
        assert "sets" in known or (known["how"] and known["source"]), name
        for data, fact in known.get("sets", {}).items():
            assert data in NAMED, name
            assert fact["strength"] in ("contains", "may contain", "apart")
            assert fact["how"]
            assert any(mark in fact["source"] for mark in ("arXiv:", "doi:")), fact["source"]


@pytest.mark.parametrize(
    ("trained_on", "data", "strength"),
    [
        ("IN-1k", "pets", "may contain"),
        ("IN-22k, ft IN-1k", "pets", "may contain"),
        ("IN-1k", "imagenet", "apart"),
        ("IN-22k, ft IN-1k", "imagenet", "unknown"),
        ("IN-1k", "eurosat", "unknown"),
        ("LAION-2B", "eurosat", "may contain"),
        ("WIT-400M", "imagenet-r", "may contain"),
        ("IG-1B, ft IN-1k", "imagenet-r", "unknown"),
        ("IG-1B, ft IN-1k", "imagenet", "may contain"),
        ("LVD-142M", "imagenet-a", "apart"),
        ("LVD-142M", "elpv", "may contain"),
        ("SA-1B", "food101", "unknown"),
        ("", "food101", "unknown"),
        ("my own photographs", "food101", "unknown"),
    ],
)
def test_what_is_known_of_a_pair(trained_on: str, data: str, strength: str) -> None:
    found = overlap(trained_on, data)
    assert found is not None
    assert found.strength == strength
    assert found.flagged == (strength in ("contains", "may contain"))
    assert bool(found.mark) == found.flagged


@pytest.mark.parametrize("data", ["", "my_photographs", "toy", "digits"])
def test_what_is_not_published_is_never_flagged(data: str) -> None:
    assert overlap("LAION-2B", data) is None


def test_a_folder_that_bears_a_known_name_stays_the_user_s_own() -> None:
    """What a record calls its data is only a name; whether it is the published set, it says elsewhere."""
    records = [replace(r, subject=replace(r.subject, data="cifar10")) for r in of(Lab(), "LAION-2B")]
    assert sheet_of(Results(tuple(records))).overlaps == {}


def of(lab: Lab, trained_on: str, published: str = "") -> list[Record]:
    found = []
    for r in lab.records():
        about = replace(r.about, pretrain_data=trained_on if r.cell.backbone == "made_up_large" else "SA-1B")
        if isinstance(r, ScoreRecord):
            r = replace(r, subject=replace(r.subject, published=published))
        found.append(replace(r, about=about))
    return found


FLAG = Overlap("LAION-2B", "cifar10", "may contain", "a crawl", "a paper")


def sheet(values: list[list[float]], flagged: dict[tuple[int, int], Overlap]) -> Sheet:
    numbers = np.array(values, float)
    rows, settings = numbers.shape
    return Sheet(
        labels=tuple({"backbone": f"b{i}"} for i in range(rows)),
        settings=tuple(Column(f"s{j}") for j in range(settings)),
        values=numbers,
        errors=np.full(numbers.shape, np.nan),
        status=tuple("ok" for _ in range(rows)),
        why=("",) * rows,
        flags=((),) * rows,
        overlaps=flagged,
    )


def test_ranks_without_the_flagged_scores_are_those_of_a_table_that_lacks_them() -> None:
    values = [[90.0, 57.0], [60.0, 60.0], [50.0, 40.0]]
    ranking = Ranking(sheet(values, {(0, 0): FLAG}))
    assert [s.row for s in ranking.standings] == [0, 1, 2]
    assert ranking.clean is not None
    values[0][0] = np.nan
    lacking = Ranking(sheet(values, {}), Options(missing="average"))
    assert ranking.clean.standings == lacking.standings
    assert [s.row for s in ranking.clean.standings] == [1, 0, 2]
    foot = "\n".join(ranking.foot())
    assert "rank without †‡" in foot
    assert "‡ LAION-2B may contain test images of cifar10: a crawl (a paper)." in foot


def test_what_is_kept_apart_or_unknown_changes_nothing_and_the_unknown_is_said() -> None:
    known = {(0, 0): replace(FLAG, strength="unknown", how="", source=""), (1, 1): replace(FLAG, strength="apart")}
    ranking = Ranking(sheet([[90.0, 50], [60, 60]], known))
    assert ranking.clean is None
    assert [row["clean_z"] for row in ranking.as_rows()] == [None, None]
    assert "Overlap of test images and pretraining data is not published for: cifar10 in LAION-2B." in ranking.foot()


def test_a_row_with_nothing_left_has_no_rank_without() -> None:
    ranking = Ranking(sheet([[9.0], [5], [4]], {(0, 0): FLAG}))
    assert ranking.clean_standing(0) is None
    assert [ranking.clean_standing(row).rank for row in (1, 2)] == ["1", "2"]  # type: ignore[union-attr]
    lone = Ranking(sheet([[9.0], [5]], {(0, 0): FLAG}))
    assert [s.z for s in lone.clean.standings] == [None]  # type: ignore[union-attr]


def test_a_setting_that_one_row_alone_has_left_moves_no_mean() -> None:
    ranking = Ranking(sheet([[9.0, 1], [5, 2], [4, 3]], {(0, 0): FLAG, (1, 0): FLAG}))
    assert ranking.clean is not None
    assert [s.row for s in ranking.clean.standings] == [2, 1, 0]
    assert [s.z for s in ranking.clean.standings] == pytest.approx([1.5**0.5, 0, -(1.5**0.5)])


def test_the_table_marks_scores_and_gives_both_ranks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for record in of(Lab(), "LAION-2B", "cifar10"):
        record.write(tmp_path)
    assert rank.main([str(tmp_path)]) == 0
    assert "‡: pretraining data may contain test images." in capsys.readouterr().out
    assert rank.main([str(tmp_path), "--all"]) == 0
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if "made_up_large" in line and "parity" not in line]
    assert [line.count("‡") for line in lines[:2]] == [3, 3]
    assert [line.split()[1] for line in lines[:2]] == ["–", "–"]
    assert "Overlap of test images and pretraining data is not published for: cifar10 in SA-1B." in out
    assert rank.main([str(tmp_path), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    large = [r for r in rows if r["backbone"] == "made_up_large"]
    assert {r["knn@drawings_overlap"] for r in large} == {"may contain"}
    assert {r["clean_rank_low"] for r in large} == {None}
    assert min(r["clean_rank_low"] for r in rows if r["clean_rank_low"]) == 1


def test_sentences_join_the_sets_of_one_reason_and_begin_with_the_surest() -> None:
    pairs = [FLAG, replace(FLAG, data="dtd"), Overlap("IN-1k", "pets", "contains", "copies", "a table")]
    assert published(pairs) == [
        "† IN-1k contains test images of pets: copies (a table).",
        "‡ LAION-2B may contain test images of cifar10, dtd: a crawl (a paper).",
    ]
