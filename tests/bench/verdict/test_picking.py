from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from fake_records import made_up, sheet
from hypothesis import example, given
from hypothesis import strategies as st

from bench.verdict.picking import Limit, pick, sentences, suggestion
from bench.verdict.ranking import Ranking
from export.errors import UserError


def test_the_pick_is_the_cheapest_that_is_not_significantly_less_accurate_than_the_best() -> None:
    ranking = made_up()
    found = pick(ranking)
    assert ranking.sheet.name(found.row) == "made_up_base · openvino:cpu · fp32"
    assert ranking.sheet.name(found.best) == "made_up_large · openvino:cpu · fp32"
    assert found.row in ranking.front("latency_p50_ms")
    first, second, third = sentences(ranking, found)
    assert first.startswith("Ship made_up_base · openvino:cpu · fp32: latency p50 7.4")
    assert "2.3 times less than the most accurate cell, made_up_large · openvino:cpu · fp32 (17.3 ms)." in first
    assert second.startswith("The lead of the most accurate cell, 0.04 in mean z (95 % interval ")
    assert second.endswith("is not significant.")
    assert third.startswith(
        "It is significantly more accurate than 6 of the other 9 cells; the closest is made_up_small"
    )
    lines = suggestion(ranking).splitlines()
    assert " ".join(lines) == " ".join([first, second, third])
    assert max(map(len, lines)) <= 120


def test_the_significant_difference_is_the_setting_s_own() -> None:
    ranking = made_up()
    found = pick(ranking)
    worse = next(s.row for s in ranking.standings if ranking.ahead(found.row, s.row))
    [by] = re.findall(
        r", by ([\d.]+) points of ([\w -]+) on drawings \(95 % interval ([\d.]+) … ", sentences(ranking, found)[2]
    )
    j = next(j for j, s in enumerate(ranking.sheet.settings) if s.task_name == by[1])
    value, low, _ = ranking.difference_in(j, found.row, worse)
    assert [float(by[0]), float(by[2])] == pytest.approx([value, low], abs=0.06)
    assert value == ranking.sheet.values[found.row, j] - ranking.sheet.values[worse, j]
    assert low > 0


def test_where_the_pick_leads_nobody_another_pair_is_named() -> None:
    """The pick, cheap and uncertain, differs from none; the best differs from the worst."""
    images = np.arange(400)
    right = 100.0 * np.stack([images < 320, np.random.default_rng(1).permutation(400) < 304, images < 296])
    table = replace(
        sheet([[float(a.mean())] for a in right], costs=[9.0, 1.0, 5.0]),
        samples={(i, 0): a for i, a in enumerate(right)},
    )
    ranking = Ranking(table)
    assert pick(ranking).row == 1
    assert "b0 is significantly more accurate than b2, by " in suggestion(ranking)


def test_where_no_difference_is_significant_it_is_said_with_the_number_of_images() -> None:
    random = np.random.default_rng(2)
    answers = [np.where(random.random(50) < 0.7, 100.0, 0.0) for _ in range(3)]
    table = replace(
        sheet([[float(a.mean())] for a in answers], costs=[1.0, 2.0, 3.0]),
        samples={(i, 0): a for i, a in enumerate(answers)},
    )
    assert suggestion(Ranking(table)).endswith(
        "No difference between these cells is significant with 50 test images: more test images would help."
    )
    without_errors = suggestion(Ranking(sheet([[5.0], [6.0]], costs=[1.0, 2.0])))
    assert "significant" not in without_errors


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
    assert sentences(ranking, found)[0] == "Ship b1: it has the highest mean z; no cost was measured."


def test_a_dearer_but_equal_cell_is_not_picked() -> None:
    table = sheet([[5.0], [5.0], [1.0]], errors=0.01, costs=[9.0, 3.0, 1.0])
    assert pick(Ranking(table)).row == 1
    assert pick(Ranking(replace(table, cost_values=np.array([[9.0], [np.nan], [1.0]])))).row == 0


def test_a_budget_that_nothing_meets_says_how_near_the_nearest_came_and_what_would_let_it_in() -> None:
    table = replace(sheet([[5.0], [6.0], [7.0]], costs=[12.0, 20.0, 11.004]))
    ranking = Ranking(table)
    with pytest.raises(UserError) as refused:
        pick(ranking, limits=[Limit("price", 10)])
    assert str(refused.value).splitlines() == [
        "No ranked cell has price ≤ 10.",
        "The nearest is b2: price 11.0 (10.0 % over).",
        "Try: --max price=11.1",
    ]
    assert pick(ranking, limits=[Limit.parse("price=11.1")]).row == 2, "the remedy works"


def test_limits_that_exclude_each_other_are_said_to() -> None:
    ranking = made_up()
    limits = [Limit("latency_p50_ms", 3.3), Limit("throughput_images_per_s", 1e4, least=True)]
    with pytest.raises(UserError, match=r"The nearest is made_up_\w+ · .*\(within\).*\d % below\)"):
        pick(ranking, limits=limits)
    table = replace(
        sheet([[5.0], [6.0]], costs=[1.0, 9.0]),
        costs=tuple(replace(c, name=n) for n in ("price", "weight") for c in sheet([[5.0]], costs=[1.0]).costs),
        cost_values=np.array([[1.0, 9.0], [9.0, 1.0]]),
    )
    with pytest.raises(UserError, match=r"Each limit alone can be met, all together cannot\. The nearest is b1: "):
        pick(Ranking(table), limits=[Limit("price", 2), Limit("weight", 2)])
    table = replace(table, cost_values=np.array([[1.0, np.nan], [9.0, np.nan]]))
    with pytest.raises(UserError, match=r"No ranked cell has a value of weight\."):
        pick(Ranking(table), limits=[Limit("weight", 2)])


@given(st.floats(1e-4, 1e6), st.booleans())
def test_a_loosened_limit_lets_its_value_in_and_is_near_it(value: float, least: bool) -> None:
    limit = Limit("price", 1.0, least)
    loose = limit.loose(value)
    assert replace(limit, value=loose).holds(np.array([value])).all()
    assert loose == pytest.approx(value, rel=0.011)
