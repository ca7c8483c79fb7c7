from __future__ import annotations

from fakes import MeanColour, PillowPath, photograph, plan

from bench.figures.extraction import RUNS, against_bound


def test_all_images_are_streamed_and_the_bound_is_of_the_same_session() -> None:
    session = MeanColour(plan((1, 4)))
    found = against_bound(session, PillowPath(), [photograph(i) for i in range(40)], 2)
    assert len(found) == 2
    assert min(found) > 0
    assert set(session.seen) == {4}
    assert len(session.seen) == 8 + 2 * (RUNS + 10), "warming up, then the bound and ten batches in each repeat"
