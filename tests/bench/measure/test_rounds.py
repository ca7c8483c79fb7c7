from __future__ import annotations

from bench.measure.rounds import rounds, takes
from bench.measure.scenarios.base import Settings
from bench.measure.worker import Job


def test_every_turn_comes_once_and_no_job_is_ahead_of_another_by_more_than_one() -> None:
    turns = [3, 1, 2]
    found = list(rounds(turns, 0, lambda index: False))
    assert sorted((one.index, one.turn) for one in found) == [(0, 0), (0, 1), (0, 2), (1, 0), (2, 0), (2, 1)]
    assert [one.turn for one in found] == sorted(one.turn for one in found)
    assert [one.number for one in found] == list(range(1, 7))
    assert {one.total for one in found} == {6}


def test_what_failed_is_left_out_from_then_on() -> None:
    failed: set[int] = set()
    seen = []
    for one in rounds([2, 2], 0, failed.__contains__):
        seen.append((one.index, one.turn))
        failed.add(0)
    assert sorted(seen) in ([(0, 0), (1, 0), (1, 1)], [(1, 0), (1, 1)])


def test_nothing_to_do_is_no_turn() -> None:
    assert list(rounds([], 0, lambda index: False)) == []


def test_what_is_to_come_is_told_in_minutes() -> None:
    settings = Settings(1.0, soak_seconds=600)
    job = Job("", "null", "cpu", 0, "", (1,), "cpu", "", ("single_stream", "soak"), settings, repeats=3)
    assert takes(job.turns) == "about 10 min"
    assert takes(job.turns[:3]) == "about 15 s"
