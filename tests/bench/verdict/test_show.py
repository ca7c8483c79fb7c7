from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from fake_records import Lab, made_up, sheet

from bench.records.results import Results
from bench.verdict.ranking import Ranking
from bench.verdict.sheet import Column
from bench.verdict.show import markdown, print_ranking
from bench.verdict.table import sheet_of


def printed(ranking: Ranking, by: str = "z", everything: bool = False) -> list[str]:
    out = io.StringIO()
    print_ranking(ranking, by=by, file=out, everything=everything)
    return out.getvalue().splitlines()


def large() -> Ranking:
    """Fifteen backbones on two engines, beside those that are not ranked."""
    backbones = {f"made_up_backbone_{i}": (2.2 - i / 9, 3.0 + i, 5e6) for i in range(15)}
    return Ranking(sheet_of(Results(tuple(replace(Lab(), backbones=backbones).records()))))


def test_at_most_ten_rows_and_what_is_folded_is_counted() -> None:
    lines = printed(large())
    assert lines[0] == "30 cells ranked by z, the mean z-score over 3 tasks on drawings (200 test images)."
    rule = next(i for i, line in enumerate(lines) if line.startswith("─"))
    foot = next(i for i, line in enumerate(lines) if line.startswith("and 20 more"))
    assert foot - rule - 1 == 10
    assert lines[foot].startswith(
        "and 20 more; not ranked: 1 failed, 1 failed parity, 2 untrained; timings of 32 cells"
    )
    assert "noisy or disturbed: bob rank --all" in " ".join(lines[foot : foot + 2])
    assert len(lines) - foot <= 4
    legend = next(line for line in lines if line.startswith("Rank a–b"))
    assert "±: one standard error." in legend
    assert "*" not in legend
    assert lines[-1].startswith("Columns not shown: first %, mean rank, latency p99")


def test_no_line_is_wider_than_120_and_no_number_is_cut() -> None:
    ranking = large()
    wide = replace(
        ranking.sheet,
        labels=tuple(
            label | {"backbone": f"vit_base_patch14_reg4_dinov2_{i}"} for i, label in enumerate(ranking.sheet.labels)
        ),
    )
    for one in (ranking, Ranking(wide), made_up()):
        for lines in (printed(one), printed(one, by="knn@drawings")):
            assert max(map(len, lines)) <= 120
            assert not any("…" in line for line in lines)


def test_columns_that_do_not_fit_are_named() -> None:
    names = [f"a quite long name of column {i}" for i in range(9)]
    table = replace(
        sheet([[float(i + j) for j in range(9)] for i in range(4)], errors=0.5),
        settings=tuple(Column(name) for name in names),
        labels=tuple({"backbone": f"a_backbone_with_a_rather_long_name_{i}"} for i in range(4)),
    )
    text = " ".join(printed(Ranking(table)))
    assert "Columns not shown: a quite long name of column 4, " in text
    assert "column 3, a quite" not in text
    assert text.endswith("more columns, first %, mean rank: bob rank --all")


def test_everything_is_every_row_column_and_note() -> None:
    lines = printed(large(), everything=True)
    assert sum(line.count(":cpu") == 1 and "fp32" in line and "·" not in line for line in lines) == 34
    text = " ".join(" ".join(lines).split())
    assert "failed: made_up_broken · ort:cpu · fp32: knn@drawings: The engine cannot build it." in text
    assert "ddof 0; rows that lack a setting are excluded" in text
    assert "first %: share of the bootstrap resamples" in text


def test_scores_of_0_to_1_have_three_digits_and_a_table_without_errors_no_first_share() -> None:
    ranking = Ranking(sheet([[0.9012], [0.9034], [0.8955]]))
    for everything in (False, True):
        text = "\n".join(printed(ranking, everything=everything))
        assert [v in text for v in ("0.901", "0.903", "0.895", "first")] == [True, True, True, False]


def test_markdown_folds_like_the_terminal() -> None:
    ranking = large()
    table, foot = markdown(ranking).split("\n\n")
    assert len(table.splitlines()) == 12
    assert "- and 20 more; not ranked" in foot
    assert len(markdown(ranking, limit=5).split("\n\n")[0].splitlines()) == 7
    whole = markdown(ranking, everything=True).split("\n\n")[0].splitlines()
    assert len(whole) == 36
    assert "first %" in whole[0]


def test_a_sweep_that_was_only_timed_is_not_a_ranking() -> None:
    records = [r for r in Lab().records() if type(r).__name__ == "TimingRecord"]
    lines = printed(Ranking(sheet_of(Results(tuple(records)))))
    assert lines[0] == "12 cells, none of them ranked."
    assert any("not ranked: 10 skipped, 2 untrained" in line for line in lines)


def test_one_setting_needs_no_z() -> None:
    lines = printed(Ranking(made_up().sheet.only(["knn@drawings"])))
    assert lines[0] == "10 cells ranked by knn on drawings."
    assert not any(" z " in line for line in lines[:6])


@pytest.mark.parametrize("by", ["z", "s1", "price"])
def test_the_order_is_kept(by: str) -> None:
    ranking = Ranking(sheet([[1, 9], [2, 8], [3, 4]], costs=[5.0, np.nan, 4.0]))
    body = printed(ranking, by=by)[-5:-2]
    assert [line.replace("●", "").split()[1] for line in body] == [f"b{s.row}" for s in ranking.ordered(by)]
