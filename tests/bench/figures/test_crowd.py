from __future__ import annotations

from bench.figures.crowd import SIZES, crowd
from bench.verdict.axes import lines
from bench.verdict.ranking import Ranking
from bench.verdict.table import sheet_of


def test_a_crowd_is_ranked_in_eight_settings_with_lines_along_the_input_size() -> None:
    ranking = Ranking(sheet_of(crowd(100, 30)))
    sheet = ranking.sheet
    assert len(ranking.ranked) == 100
    assert len(sheet.settings) == 8
    assert {len(samples) for samples in sheet.samples.values()} == {30}
    assert len(sheet.samples) == 800
    found = lines(sheet.labels, ranking.ranked)
    assert {line.axis for line in found} == {"size"}
    assert max(len(line.rows) for line in found) == len(SIZES)


def test_a_crowd_is_the_same_every_time() -> None:
    assert crowd(9, 5).records == crowd(9, 5).records
