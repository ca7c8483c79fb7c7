"""Who does which piece next, without any node."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cluster.deal import NODES, WORKERS, Deal
from bench.cluster.pieces import Kind, Piece


def chain(
    *needs: Sequence[int], homes: Sequence[str] = (), cells: Sequence[int] = (), kinds: Sequence[Kind] = ()
) -> list[Piece]:
    """Pieces that need those of these numbers."""
    return [
        Piece(
            n,
            kinds[n] if kinds else "score",
            cells[n] if cells else n,
            f"cell {n}",
            homes[n] if homes else "",
            needs=tuple(own),
        )
        for n, own in enumerate(needs)
    ]


def anywhere(home: str) -> bool:
    return True


def test_a_piece_comes_after_those_that_it_needs() -> None:
    deal = Deal(chain([], [0], [0, 1]))
    first = deal.next(anywhere)
    assert first is not None
    assert first.number == 0
    assert deal.next(anywhere) is None
    deal.done(first)
    second = deal.next(anywhere)
    assert second is not None
    assert second.number == 1
    deal.done(second)
    third = deal.next(anywhere)
    assert third is not None
    assert (third.number, deal.left) == (2, 1)
    deal.done(third)
    assert deal.left == 0


def test_a_node_gets_what_is_at_home_there_and_first_of_the_cell_that_it_worked_on() -> None:
    deal = Deal(chain([], [], [], homes=["a", "b", "b"], cells=[0, 1, 2]))
    assert [piece.number for piece in deal.stuck(lambda home: home == "b")] == [0]
    near = deal.next(lambda home: home == "b", last=2)
    assert near is not None
    assert near.number == 2
    assert deal.next(lambda home: home == "c") is None


def test_a_piece_that_ends_processes_is_tried_as_often_as_is_said_and_more_often_where_nodes_died() -> None:
    [piece] = pieces = chain([])
    deal = Deal(pieces)
    for _ in range(WORKERS - 1):
        assert deal.next(anywhere) == piece
        assert deal.died(piece, with_node=False)
    assert deal.next(anywhere) == piece
    assert not deal.died(piece, with_node=False)
    other = Deal(pieces)
    for _ in range(NODES - 1):
        assert other.next(anywhere) == piece
        assert other.died(piece, with_node=True)
    assert other.next(anywhere) == piece
    assert not other.died(piece, with_node=True)


def test_what_cannot_be_done_without_a_piece_is_dropped_with_it_and_the_rest_goes_on() -> None:
    kinds: list[Kind] = ["export", "plan", "pass", "score", "plan", "score"]
    deal = Deal(chain([], [0], [1], [1, 2], [], [2, 4], kinds=kinds))
    first = deal.next(anywhere)
    assert first is not None
    assert [piece.number for piece in deal.drop(first)] == [0, 1, 2, 3]
    left = []
    while piece := deal.next(anywhere):
        left.append(piece.number)
        deal.done(piece)
    assert left == [4, 5], "what only came after the pass does without it"
    assert deal.left == 0


@given(st.data())
def test_every_piece_is_dealt_once_and_in_order_whatever_the_nodes_do(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 12))
    needs = [sorted(data.draw(st.sets(st.integers(0, n - 1), max_size=3)) if n else set()) for n in range(count)]
    deal, under_way, done = Deal(chain(*needs)), list[Piece](), list[int]()
    while deal.left:
        piece = deal.next(anywhere, data.draw(st.integers(-1, count)))
        if piece is not None:
            assert set(piece.needs) <= set(done)
            under_way.append(piece)
        if under_way and (piece is None or data.draw(st.booleans())):
            one = under_way.pop(data.draw(st.integers(0, len(under_way) - 1)))
            if data.draw(st.booleans()) and deal.died(one, with_node=True):
                continue
            if one.number in done:
                pytest.fail("done twice")
            done.append(one.number)
            deal.done(one)
    assert sorted(done) == list(range(count))
