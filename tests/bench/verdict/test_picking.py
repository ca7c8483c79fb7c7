from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fake_records import made_up, sheet
from hypothesis import example, given
from hypothesis import strategies as st

from bench.verdict.picking import Limit, pick, sentence, suggestion
from bench.verdict.ranking import Ranking
from export.errors import UserError


def test_the_pick_is_the_cheapest_that_cannot_be_told_from_the_best() -> None:
    ranking = made_up()
    found = pick(ranking)
    assert ranking.sheet.name(found.row) == "made_up_base · openvino:cpu · fp32"
    assert ranking.sheet.name(found.best) == "made_up_large · openvino:cpu · fp32"
    assert found.row in ranking.front("latency_p50_ms")
    text = sentence(ranking, found)
    assert text.startswith("Ship made_up_base · openvino:cpu · fp32: latency p50 ")
    assert "cannot tell from none" in text
    assert suggestion(ranking) == text


@given(st.integers(0, 2**32 - 1))
@example(100)  # the cheapest cell that ties with the best has a better and cheaper one beside it
def test_the_pick_is_never_a_cell_that_another_beats_in_both(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = 100.0 * (random.random(60) < 0.6)
    answers = []
    for _ in range(5):
        unsure = random.random(60) < random.choice([0.02, 0.1, 0.4])
        answers.append(np.where(unsure, 100.0 * (random.random(60) < 0.5), truth))
    prices = random.integers(1, 9, 5).astype(float).tolist()
    table = replace(
        sheet([[float(a.mean())] for a in answers], costs=prices), samples={(i, 0): a for i, a in enumerate(answers)}
    )
    ranking = Ranking(table)
    found = pick(ranking)
    assert found.row in ranking.front("price")
    assert found.row in found.tied


def test_a_budget_narrows_the_choice() -> None:
    ranking = made_up()
    found = pick(ranking, limits=[Limit.parse("latency_p50_ms=5")])
    assert ranking.sheet.labels[found.row]["backbone"] == "made_up_small"
    fast = pick(ranking, limits=[Limit.parse("throughput_images_per_s=300", least=True)])
    assert ranking.sheet.labels[fast.row]["backbone"] == "made_up_small"
    with pytest.raises(UserError, match=r"latency_p50_ms ≤ 1\.\n.*goes from"):
        pick(ranking, limits=[Limit.parse("latency_p50_ms=1")])
    with pytest.raises(UserError, match="higher is better"):
        pick(ranking, limits=[Limit.parse("throughput_images_per_s=300")])
    with pytest.raises(UserError, match="lower is better"):
        pick(ranking, limits=[Limit.parse("latency_p50_ms=5", least=True)])
    assert Limit.parse("a=b=5") == Limit("a=b", 5)
    for text in ("latency", "latency=fast", "latency=nan"):
        with pytest.raises(UserError, match="COLUMN=NUMBER"):
            Limit.parse(text)


def test_without_a_cost_the_best_is_picked() -> None:
    ranking = Ranking(sheet([[1.0], [2.0]]))
    found = pick(ranking)
    assert (found.row, found.cost) == (1, "")
    assert "no cost was measured" in sentence(ranking, found)


def test_a_dearer_but_equal_cell_is_not_picked() -> None:
    table = sheet([[5.0], [5.0], [1.0]], errors=0.01, costs=[9.0, 3.0, 1.0])
    assert pick(Ranking(table)).row == 1
    assert pick(Ranking(replace(table, cost_values=np.array([[9.0], [np.nan], [1.0]])))).row == 0
