"""Any field changed, key changed; and what may not move a key does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench.sweep import keys
from tasks.base import FitMeta, TaskMeta

FIT = FitMeta("linear", 1, {"penalties": [1, 2]})
TASK = TaskMeta("knn", 1, "accuracy", "in words", {"k": 20})
TIMING = {"scenario": "offline", "machine": "a", "threads": 2}

CASES: list[tuple[Callable[..., str], list[Any], list[list[Any]]]] = [
    (keys.parity_key, ["p"], [["q"]]),
    (
        keys.feature_key,
        ["p", {"path": "a"}, "d", "features"],
        [["q"], [{"path": "b"}], ["e"], ["tokens"]],
    ),
    (keys.shard_key, ["f", 0, 8], [["g"], [8], [16]]),
    (
        keys.queries_key,
        ["d", {"height": 1}, {"path": "a"}, 0, 64],
        [["e"], [{"height": 2}], [{"path": "b"}], [1], [32]],
    ),
    (
        keys.fit_key,
        [["f"], "l", FIT, 0],
        [
            [["g"]],
            ["m"],
            [FitMeta("other", 1, FIT.settings), FitMeta("linear", 2, FIT.settings), FitMeta("linear", 1)],
            [1],
        ],
    ),
    (
        keys.score_key,
        ["fit", ["f"], "d", TASK],
        [
            ["other"],
            [["g"]],
            ["e"],
            [
                TaskMeta("knn", 2, "accuracy", "in words", {"k": 20}),
                TaskMeta("knn", 1, "accuracy", "in words", {"k": 10}),
                TaskMeta("few", 1, "accuracy", "in words", {"k": 20}),
            ],
        ],
    ),
    (keys.score_protocol, ["d", TASK, 0], [["e"], [TaskMeta("few", 1, "a", "", {"k": 20})], [1]]),
    (keys.timing_key, ["p", {"seconds": 1}, TIMING], [["q"], [{"seconds": 2}], [{**TIMING, "machine": "b"}]]),
    (keys.timing_protocol, [TIMING], [[{**TIMING, "threads": 1}]]),
    (keys.part_key, [["t"], 0], [[["t", "u"]], [1]]),
]


@pytest.mark.parametrize(("function", "arguments", "others"), CASES, ids=lambda v: getattr(v, "__name__", ""))
def test_every_argument_moves_the_key(function: Callable[..., str], arguments: list[Any], others: list[Any]) -> None:
    found = {function(*arguments)}
    assert function(*arguments) in found, "the same values give the same key"
    count = 1
    for place, values in enumerate(others):
        for value in values:
            found.add(function(*arguments[:place], value, *arguments[place + 1 :]))
            count += 1
    assert len(found) == count


def test_words_for_the_reader_move_no_key() -> None:
    other = TaskMeta("knn", 1, "accuracy", "in other words", {"k": 20})
    assert keys.score_key("fit", ["f"], "d", TASK) == keys.score_key("fit", ["f"], "d", other)
