from __future__ import annotations

import threading

import numpy as np
import pytest

from bench.figures.loadgen import judged, schedule, worker
from bench.measure.issuer import issue


def test_loadgen_issues_every_query_and_its_percentiles_are_read() -> None:
    pytest.importorskip("mlperf_loadgen", reason="LoadGen has wheels for Linux on x86-64 and Python up to 3.13")
    seen: list[tuple[int, int]] = []
    found = judged(lambda first, count: seen.append((first, count)), 5000.0, 662, 0)
    assert len(seen) == 662
    assert {count for _, count in seen} == {1}
    assert 0 < found["p50"] <= found["p99"]


def test_the_schedule_is_loadgens() -> None:
    """Both draw from one generator: these are the gaps that LoadGen was seen to keep, for seed 5 and 100 a second."""
    due = schedule(100.0, 662, 5)
    assert due[0] == 0
    assert due[-1] == 6_911_330_766
    gaps = np.diff(due) / 1e9
    assert gaps.mean() == pytest.approx(gaps.std(), rel=0.15)
    assert schedule(200.0, 662, 5)[-1] == pytest.approx(due[-1] / 2, abs=662)


def test_a_worker_thread_answers_in_order() -> None:
    threads, seen = set(), []

    def serve(first: int, count: int) -> None:
        threads.add(threading.get_ident())
        seen.append(first)

    with worker(serve) as handed:
        issue([0, 1000, 2000], handed)
    assert seen == [0, 1, 2]
    assert threads != {threading.get_ident()}
    assert len(threads) == 1
