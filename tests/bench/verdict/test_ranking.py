from __future__ import annotations

from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from fake_records import FAR, Lab, made_up, sheet
from hypothesis import given
from hypothesis import strategies as st

from bench.records.record import Record, ScoreRecord, TimingRecord
from bench.records.results import Results
from bench.verdict.picking import pick, sentences, suggestion
from bench.verdict.ranking import Options, Ranking
from bench.verdict.sheet import Sheet
from bench.verdict.table import sheet_of
from export.errors import UserError


def test_mean_z_is_that_of_a_small_table_by_hand() -> None:
    ranking = Ranking(sheet([[10, 1], [20, 3], [30, 2]]))
    root = np.sqrt(1.5)
    assert ranking.standings[-1].row == 0
    assert ranking.standings[-1].z == pytest.approx(-root)
    by_row = {s.row: s for s in ranking.standings}
    assert by_row[1].z == pytest.approx((0 + root) / 2)
    assert [by_row[r].mean_rank for r in range(3)] == [3, 1.5, 1.5]
    assert [by_row[r].borda for r in range(3)] == [0, 3, 3]
    sample = Ranking(sheet([[10, 1], [20, 3], [30, 2]]), Options(ddof=1))
    assert {s.row: s.z for s in sample.standings}[0] == pytest.approx(-1.0)


def test_lower_is_better_turns_the_order() -> None:
    assert [s.row for s in Ranking(sheet([[1], [2], [3]], higher=False)).standings] == [0, 1, 2]
    assert [s.row for s in Ranking(sheet([[1], [2], [3]])).standings] == [2, 1, 0]


@given(st.lists(st.lists(st.integers(0, 8), min_size=2, max_size=2), min_size=2, max_size=7))
def test_without_errors_only_equal_rows_tie(values: list[list[int]]) -> None:
    ranking = Ranking(sheet([[float(v) for v in row] for row in values]))
    for one in ranking.standings:
        better = sum((other.z or 0) > (one.z or 0) + 1e-9 for other in ranking.standings)
        equal = sum(abs((other.z or 0) - (one.z or 0)) <= 1e-9 for other in ranking.standings)
        assert (one.low, one.high) == (better + 1, better + equal)
        assert one.z_error is None


def test_standard_errors_alone_widen_the_span_of_ranks() -> None:
    sharp = Ranking(sheet([[50.0], [60.0], [90.0]], errors=0.1))
    assert [s.rank for s in sharp.standings] == ["1", "2", "3"]
    blunt = Ranking(sheet([[50.0], [60.0], [90.0]], errors=8.0))
    assert [s.rank for s in blunt.standings] == ["1", "2–3", "2–3"]
    spread = np.std([50, 60, 90])
    around_the_mean = np.sqrt(1 - 1 / 3)
    assert blunt.standings[0].z_error == pytest.approx(around_the_mean * 8 / spread, rel=0.05)


def test_rows_share_the_first_place_as_the_images_decide() -> None:
    sharp = Ranking(sheet([[50.0], [60.0], [90.0]], errors=0.1))
    assert {s.row: s.first_share for s in sharp.standings} == {2: 1, 1: 0, 0: 0}
    even = Ranking(sheet([[50.0], [90.0], [90.0]], errors=2.0))
    shares = {s.row: s.first_share for s in even.standings}
    assert shares[0] == 0
    assert shares[1] == pytest.approx(0.5, abs=0.05)
    assert sum(s.first_share or 0 for s in even.standings) == pytest.approx(1)
    nearly = Ranking(sheet([[88.0], [90.0]], errors=1.0))
    by_chance = 1 - NormalDist(2, 2**0.5).cdf(0)
    assert nearly.standings[0].first_share == pytest.approx(by_chance, abs=0.02)


def test_rows_with_the_same_answers_have_the_same_first_share() -> None:
    ranking = made_up()
    shares = {ranking.sheet.name(s.row): s.first_share for s in ranking.standings}
    for backbone in Lab().backbones:
        assert shares[f"{backbone} · ort:cpu · fp32"] == pytest.approx(shares[f"{backbone} · openvino:cpu · fp32"])
    assert sum(s or 0 for s in shares.values()) == pytest.approx(1)
    assert any(line.startswith("first %") for line in ranking.foot())


def crossed(luck: float, paired: bool = False) -> Sheet:
    """Three rows, 80, 82 and 84 % right on average; each of 5 draws moves a row by that much, all alike or not."""
    random = np.random.default_rng(3)
    moves = random.normal(size=(5, 3)) if not paired else random.normal(size=(5, 1)) * np.ones(3)
    moves -= moves.mean(axis=0)
    values = np.array([80.0, 82, 84])
    noise = random.normal(size=(400, 3))
    noise -= noise.mean(axis=0)
    table = sheet([[v] for v in values])
    return replace(
        table,
        samples={(i, 0): values[i] + 2 * noise[:, i] for i in range(3)},
        by_draw={(i, 0): values[i] + luck * moves[:, i] for i in range(3)},
    )


def test_draws_that_differ_widely_widen_the_span_of_ranks() -> None:
    assert [s.rank for s in Ranking(crossed(0.1)).standings] == ["1", "2", "3"]
    wide = Ranking(crossed(5.0))
    assert [s.rank for s in wide.standings] == ["1–3"] * 3
    assert all(0.05 < (s.first_share or 0) < 0.95 for s in wide.standings)
    assert wide.difference(2, 0)[1] > 5 * Ranking(crossed(0.1)).difference(2, 0)[1]
    assert any("drawn by seed are resampled as well" in line for line in wide.foot())


def test_luck_that_all_rows_share_moves_no_rank() -> None:
    """The draws are the same for every backbone: a good one lifts them all."""
    assert [s.rank for s in Ranking(crossed(5.0, paired=True)).standings] == ["1", "2", "3"]


def test_rows_without_their_draws_are_named_and_ranked_by_the_samples() -> None:
    table = crossed(5.0)
    partly = Ranking(replace(table, by_draw={cell: v for cell, v in table.by_draw.items() if cell[0]}))
    assert partly.undrawn == ["s0"]
    assert [s.rank for s in partly.standings] == ["1", "2", "3"]
    assert any("s0: older records lack" in line for line in partly.foot())
    assert Ranking(table).undrawn == []
    assert Ranking(table.only(["s0"])).standings == Ranking(table).standings


def test_engines_that_answer_alike_tie_and_tasks_of_one_test_set_are_resampled_together() -> None:
    ranking = made_up()
    spans = {ranking.sheet.name(s.row): s.rank for s in ranking.standings}
    assert spans["made_up_large · ort:cpu · fp32"] == spans["made_up_large · openvino:cpu · fp32"] == "1–4"
    assert spans["made_up_poor · ort:cpu · fp32"] == "9–10"
    [row] = [s.row for s in ranking.standings if ranking.sheet.name(s.row) == "made_up_small · ort:cpu · fp32"]
    parts = np.zeros(200)
    for j in range(3):
        samples = np.stack([ranking.sheet.samples[i, j] for i in ranking.ranked])
        spread = ranking.sheet.values[ranking.ranked, j].std()
        parts += (ranking.sheet.samples[row, j] - samples.mean(axis=0)) / spread / 3
    error = next(s.z_error for s in ranking.standings if s.row == row)
    assert error == pytest.approx(parts.std(ddof=1) / np.sqrt(200), rel=0.05)


def test_the_draws_are_centred_on_the_mean_z() -> None:
    ranking = made_up()
    z = {s.row: s.z for s in ranking.standings}
    np.testing.assert_allclose(ranking.draws.mean(axis=0), [z[r] or 0.0 for r in ranking.ranked], atol=0.02)


def test_cells_that_fail_parity_or_were_not_scored_move_no_z() -> None:
    all_cells = made_up()
    good = [r for r in Lab().records() if r.cell.backbone in Lab().backbones]
    without = Ranking(sheet_of(Results(tuple(good))))
    assert [s.z for s in all_cells.standings] == [s.z for s in without.standings]
    listed = {(row["backbone"], row["status"]) for row in all_cells.as_rows("latency_p50_ms")}
    assert {("made_up_off", "parity"), ("made_up_random", "skipped"), ("made_up_broken", "failed")} <= listed


def test_untrained_cells_are_not_ranked_even_where_somebody_scored_them() -> None:
    records = [replace(r, cell=replace(r.cell, untrained=r.cell.backbone == "made_up_tiny")) for r in Lab().records()]
    ranking = Ranking(sheet_of(Results(tuple(records))))
    assert "made_up_tiny" not in {ranking.sheet.labels[row]["backbone"] for row in ranking.ranked}
    aside = [row for row in ranking.as_rows() if row["backbone"] == "made_up_tiny"]
    assert [row["status"] for row in aside] == ["skipped", "skipped"]
    assert all("untrained" in row["why"] for row in aside)


@pytest.mark.parametrize("kind", [ScoreRecord, TimingRecord])
def test_parity_that_failed_in_any_record_of_a_cell_keeps_it_out(kind: type[Record]) -> None:
    records = [
        replace(r, parity=FAR) if r.cell.backbone == "made_up_base" and isinstance(r, kind) else r
        for r in Lab().records()
    ]
    ranking = Ranking(sheet_of(Results(tuple(records))))
    assert "made_up_base" not in {ranking.sheet.labels[row]["backbone"] for row in ranking.ranked}


def test_missing_settings_exclude_a_row_or_are_averaged_and_the_foot_says_which() -> None:
    table = sheet([[1, 5], [2, np.nan], [3, 7]])
    excluded = Ranking(table)
    assert [s.row for s in excluded.standings] == [2, 0]
    assert excluded.sheet.why[1] == "no score for s1"
    assert any("are excluded" in line for line in excluded.foot())
    averaged = Ranking(table, Options(missing="average"))
    assert [s.row for s in averaged.standings] == [2, 1, 0]
    assert averaged.standings[1].z == pytest.approx(0)
    assert any("are averaged" in line for line in averaged.foot())
    bare = Ranking(sheet([[1, 5], [np.nan, np.nan], [3, 7]]), Options(missing="average"))
    assert 1 not in bare.ranked


def test_one_row_has_no_z_and_is_said_so() -> None:
    ranking = Ranking(sheet([[50.0, 60.0]], errors=1.0, costs=[3.0]))
    [only] = ranking.standings
    assert (only.z, only.z_error, only.first_share, only.rank) == (None, None, None, "1")
    assert ranking.foot()[0].startswith("z: n/a")
    assert ranking.front("price") == [0]
    assert sentences(ranking, pick(ranking))[1:] == ["It is the only ranked cell."]


def test_no_row_is_a_table_of_costs() -> None:
    timed = [r for r in Lab().records() if isinstance(r, TimingRecord)]
    ranking = Ranking(sheet_of(Results(tuple(timed))))
    assert ranking.standings == []
    assert ranking.front("latency_p50_ms") == []
    assert all(row["latency_p50_ms"] for row in ranking.as_rows("latency_p50_ms"))
    with pytest.raises(UserError, match="no ranked cell"):
        pick(ranking)
    assert suggestion(ranking) == "Nothing was ranked, so no cell is suggested."


def test_equal_scores_everywhere_are_all_first() -> None:
    ranking = Ranking(sheet([[5.0], [5.0], [5.0]], errors=1.0))
    assert [(s.z, s.rank) for s in ranking.standings] == [(0, "1–3")] * 3
    assert [s.first_share for s in ranking.standings] == [pytest.approx(1 / 3)] * 3


def test_order_by_any_column_puts_the_best_first_and_the_unknown_last() -> None:
    ranking = Ranking(sheet([[1, 9], [2, 8], [3, 4]], costs=[5.0, np.nan, 4.0]))
    assert [s.row for s in ranking.ordered("s1")] == [0, 1, 2]
    assert [s.row for s in ranking.ordered("price")] == [2, 0, 1]
    uneven = Ranking(sheet([[1, 7, 1], [2, 8, 9], [3, 4, 2]]))
    assert [s.mean_rank for s in uneven.ordered("mean_rank")] == [pytest.approx(v) for v in (4 / 3, 2, 8 / 3)]
    assert [s.borda for s in uneven.ordered("borda")] == [5, 3, 1]
    with pytest.raises(UserError, match=r"Unknown order 'colour'\.\nAvailable: borda, mean_rank, price, s0, s1, z"):
        ranking.ordered("colour")


def test_settings_are_chosen_by_name() -> None:
    table = sheet([[1, 9], [2, 8]])
    assert [s.row for s in Ranking(table.only(["s1"])).standings] == [0, 1]
    with pytest.raises(UserError, match="Unknown setting"):
        table.only(["s9"])
