from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from fake_records import made_up, sheet

from bench.verdict.budget import RUNGS, SHOWN, Explanation, document, explained
from bench.verdict.picking import Limit, pick
from bench.verdict.ranking import Ranking


def stairs(n: int = 5) -> Ranking:
    """Each cell dearer and better than the one before: significantly so from b1 to b2, from b3 to b4, and so on."""
    images = np.arange(1000)
    right = [np.where(images < 500 + 50 * (i // 2) + 2 * (i % 2), 100.0, 0.0) for i in range(n)]
    random = np.random.default_rng(0)
    right = [np.where(random.random(1000) < 0.01, 100.0 - r, r) for r in right]
    table = sheet([[float(r.mean())] for r in right], costs=[float(10 * (i + 1)) for i in range(n)])
    return Ranking(replace(table, samples={(i, 0): r for i, r in enumerate(right)}))


def test_a_limit_is_binding_from_the_value_on_that_changes_the_pick() -> None:
    ranking = stairs()
    limits = [Limit("price", 25)]
    found = pick(ranking, limits=limits)
    [relaxed] = Explanation(ranking, found).relaxed
    assert relaxed.binding
    assert relaxed.pick_from is not None
    changed = pick(ranking, limits=[Limit("price", relaxed.pick_from)])
    assert (changed.row, found.row) == (relaxed.pick, found.row)
    assert changed.row != found.row
    before = pick(ranking, limits=[Limit("price", relaxed.pick_from - 1e-6)])
    assert before.row == found.row
    text = " ".join(explained(ranking, found).split())
    assert "price ≤ 25 is binding: from 30 ms on the pick and the most accurate cell would be b2" in text


def test_a_limit_that_changes_nothing_is_said_not_to_bind_and_two_in_one_sentence() -> None:
    ranking = made_up()
    limits = [Limit("latency_p50_ms", 500), Limit("throughput_images_per_s", 1, least=True)]
    found = pick(ranking, limits=limits)
    assert [one.binding for one in Explanation(ranking, found).relaxed] == [False, False]
    text = " ".join(explained(ranking, found).split())
    assert "latency_p50_ms ≤ 500 and throughput_images_per_s ≥ 1 are not binding: relaxing one of them changes" in text


def test_a_limit_may_bind_the_best_alone() -> None:
    table = sheet([[50.0], [50.5], [10.0]], errors=1.0, costs=[1.0, 9.0, 0.5])
    ranking = Ranking(table)
    found = pick(ranking, limits=[Limit("price", 5)])
    [relaxed] = Explanation(ranking, found).relaxed
    assert (relaxed.pick, relaxed.best, relaxed.best_from) == (None, 1, 9.0)
    text = " ".join(explained(ranking, found).split())
    assert "from 9 ms on the most accurate cell would be b1; the pick would stay." in text


def test_a_lower_limit_is_relaxed_downwards() -> None:
    ranking = made_up()
    found = pick(ranking, limits=[Limit("throughput_images_per_s", 300, least=True)])
    [relaxed] = Explanation(ranking, found).relaxed
    assert relaxed.pick_from is not None
    assert relaxed.pick_from < 300
    changed = pick(ranking, limits=[Limit("throughput_images_per_s", relaxed.pick_from, least=True)])
    assert changed.row == relaxed.pick != found.row


def test_the_ladder_has_the_front_above_the_pick_and_names_the_significant_steps() -> None:
    ranking = stairs(4)
    found = pick(ranking, limits=[Limit("price", 20)])
    steps = Explanation(ranking, found).steps
    assert [s.row for s in steps] == [r for r in ranking.front("price") if r > found.row]
    assert [s.beyond for s in steps] == [s.more + 10 * (found.row + 1) > 20 for s in steps]
    assert [s.significant for s in steps] == [ranking.ahead(s.row, found.row) for s in steps]
    assert [s.z for s in steps] == sorted(s.z for s in steps)
    text = " ".join(explained(ranking, found).split())
    assert "Compared with the pick, for 20.0 ms more: +" in text
    assert "significant (b2, beyond the limit); for up to 30.0 ms more: nothing more that is significant." in text


def test_a_long_ladder_is_cut_and_counted() -> None:
    ranking = stairs(16)
    found = pick(ranking, limits=[Limit("price", 20)])
    text = " ".join(explained(ranking, found).split())
    assert text.count("significant (") == RUNGS
    assert re.search(r"; \d more significant steps \(--json\)", text)


def test_on_top_of_the_front_there_is_no_step() -> None:
    ranking = stairs(5)
    found = pick(ranking)
    assert found.row == 4
    assert Explanation(ranking, found).steps == []
    assert "No cell with a higher price is more accurate." in explained(ranking, found)


def test_the_pick_of_every_budget_is_the_one_that_the_spans_say() -> None:
    ranking = stairs(7)
    spans = Explanation(ranking, pick(ranking)).spans
    assert spans[0].row is None
    assert [s.end for s in spans[:-1]] == [s.start for s in spans[1:]]
    for budget in np.arange(10.0, 90.0, 2.5):
        [span] = [s for s in spans if (s.start or 0) <= budget and (s.end is None or budget < s.end)]
        assert span.row == pick(ranking, limits=[Limit("price", float(budget))]).row
    with pytest.raises(Exception, match="No ranked cell"):
        pick(ranking, limits=[Limit("price", (spans[0].end or 0) - 1e-6)])


def test_the_spans_of_a_rate_go_downwards_and_keep_other_limits() -> None:
    ranking = made_up()
    cost, other = "throughput_images_per_s", Limit("latency_p50_ms", 12)
    spans = Explanation(ranking, pick(ranking, cost, [other])).spans
    starts = [s.start for s in spans if s.start is not None]
    assert starts == sorted(starts, reverse=True)
    for span in spans[1:]:
        least = Limit(cost, span.start or 0, least=True)
        assert pick(ranking, cost, [other, least]).row == span.row


def test_a_long_table_of_budgets_shows_those_near_the_pick_and_counts_the_others() -> None:
    ranking = stairs(24)
    found = pick(ranking, limits=[Limit("price", 120)])
    lines = Explanation(ranking, found).table()
    assert len(lines) == SHOWN + 2
    assert sum(line.startswith("→") for line in lines) == 1
    spans = len(Explanation(ranking, found).spans) - 1
    assert lines[-1] == f"  {spans - SHOWN} other budgets are left out; --json holds all."


def test_without_a_cost_or_errors_nothing_is_made_up() -> None:
    plain = Ranking(sheet([[1.0], [2.0]]))
    about = Explanation(plain, pick(plain))
    assert (about.sentences(), about.steps, about.spans, about.table()) == ([], [], [], [])
    priced = Ranking(sheet([[1.0], [2.0]], costs=[1.0, 2.0]))
    assert "tie" not in explained(priced, pick(priced, limits=[Limit("price", 1)]))


def test_the_document_is_json_and_names_cells_by_their_labels() -> None:
    ranking = stairs(5)
    found = document(ranking, pick(ranking, limits=[Limit("price", 25)]))
    assert json.loads(json.dumps(found)) == found
    [limit] = found["limits"]
    assert limit["column"] == "price"
    assert limit["binding"] is True
    assert limit["pick"] == {"backbone": "b2"}
    assert [step["cell"]["backbone"] for step in found["ladder"]][-1] == "b4"
    assert found["budgets"][0] == {"start": None, "end": 10.0, "cell": None}
    assert found["sentences"][0].startswith("Ship b")
