from __future__ import annotations

from bench.figures.child import measured
from bench.measure.clock import Series
from bench.measure.criterion import Stopped
from bench.measure.worker import Outcome


def test_what_was_timed_within_another_series_counts_once() -> None:
    def series(begin: float, end: float) -> Series:
        return Series(1, [], [1], True, int(begin * 1e9), int(end * 1e9), Stopped(False, "", None))

    whole = series(3, 4.5)
    outcome = Outcome(
        {"single_stream": {"latency": series(1, 2)}, "end_to_end": {"end_to_end": whole, "decode": whole}}
    )
    assert measured(outcome) == 2.5
