from __future__ import annotations

from fake_records import made_up, sheet
from hypothesis import given
from hypothesis import strategies as st

from bench.verdict.fold import Part, fitting, shown_rows
from bench.verdict.picking import pick
from bench.verdict.ranking import Ranking


def test_the_pick_the_front_and_the_best_are_shown_best_first() -> None:
    ranking = made_up()
    everything = shown_rows(ranking, "latency_p50_ms")
    assert everything == ranking.standings
    five = shown_rows(ranking, "latency_p50_ms", limit=5)
    assert [s.z for s in five] == sorted((s.z or 0.0 for s in five), reverse=True)
    front = ranking.front("latency_p50_ms")
    assert {pick(ranking).row, *front} <= {s.row for s in five}
    tied = [s.row for s in ranking.standings if not ranking.ahead(ranking.standings[0].row, s.row)]
    assert {s.row for s in five} - set(front) <= set(tied)


def test_a_table_without_errors_shows_the_ten_best() -> None:
    ranking = Ranking(sheet([[float(v)] for v in range(25)]))
    assert [s.row for s in shown_rows(ranking)] == list(range(24, 14, -1))
    assert [s.row for s in shown_rows(ranking, by="s0", limit=3)] == [24, 23, 22]


WIDTHS = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 9)), min_size=1, max_size=12)


@given(WIDTHS, st.integers(10, 120))
def test_columns_are_left_out_by_their_order_and_named(sizes: list[tuple[int, int]], width: int) -> None:
    parts = [Part(f"p{i}", ("x" * size,), ("",), last=last) for i, (size, last) in enumerate(sizes)]
    kept, gap, left_out = fitting(parts, width)
    assert [p.title for p in parts if p.title in left_out or p in kept] == [p.title for p in parts]
    assert len(kept) + len(left_out) == len(parts)
    assert gap in (1, 2)
    needed = sum(p.width for p in kept) + gap * (len(kept) - 1)
    assert needed <= width or all(p.last == 0 for p in kept)
    if left_out:
        assert min(p.last for p in parts if p.title in left_out) >= max((p.last for p in kept), default=0)
