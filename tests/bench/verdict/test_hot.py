from __future__ import annotations

from fake_records import Lab, only

from bench.records.parts import SampleSeries
from bench.verdict.hot import Soaked, hot
from bench.verdict.row import Row


def test_a_pair_changes_places_when_every_piece_says_so() -> None:
    fast = Soaked("a", (10.0, 10.2), (15.0, 15.1))
    steady = Soaked("b", (12.0, 12.1), (12.0, 12.2))
    noisy = Soaked("c", (10.1, 12.0), (12.0, 12.2))
    assert fast.passes(steady)
    assert not steady.passes(fast)
    assert not fast.passes(noisy), "at the start the two are not told apart"


def soaked(backbone: str, start: int, end: int) -> Row:
    """A row of that cell, whose queries took so many ms in the first and in the last tenth of a soak."""
    table = Lab()
    tenths = [SampleSeries(f"tenth_{n}", 0, [ms * 1_000_000] * 20, begin_ns=n) for n, ms in ((2, end), (1, start))]
    record = table.timing(backbone, "ort:cpu", "soak", series=tenths)
    return only(record)


def test_the_foot_names_the_pairs() -> None:
    first, second, *_ = Lab().backbones
    rows = [soaked(first, 10, 15), soaked(second, 12, 12)]
    [line] = hot(rows)
    assert f"{first} · ort:cpu · fp32 (10 → 15 ms) falls behind {second} · ort:cpu · fp32 (12 → 12 ms)" in line
    assert hot(rows[:1]) == []
    assert hot([soaked(first, 10, 11), soaked(second, 12, 13)]) == ["Hot: none of 2 soaked cells change places."]
