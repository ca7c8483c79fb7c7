from __future__ import annotations

from bench.sweep.looks import FIRST_SECONDS, GROWTH, Looks


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_first_table_waits_for_its_time_and_for_two_cells() -> None:
    clock = Clock()
    looks = Looks(lambda timings: None, clock)
    assert not looks.due(5)
    clock.now += FIRST_SECONDS
    assert not looks.due(1)
    assert looks.due(2)


def test_each_table_comes_later_than_the_one_before_and_shows_more() -> None:
    clock, shown = Clock(), list[int]()
    looks = Looks(lambda timings: shown.append(len(timings)), clock)
    times = []
    for cells in range(1, 3601):
        clock.now += 1
        if looks.due(cells):
            looks.show(cells, [])
            times.append(clock.now - 100)
            assert not looks.due(cells)
    assert times == [FIRST_SECONDS * GROWTH**n for n in range(len(times))]
    assert len(times) == len(shown) == 5


def test_no_table_comes_twice() -> None:
    clock = Clock()
    looks = Looks(lambda timings: None, clock)
    clock.now += FIRST_SECONDS
    looks.show(2, [])
    clock.now += 10 * GROWTH * FIRST_SECONDS
    assert not looks.due(2)
    assert looks.due(3)
