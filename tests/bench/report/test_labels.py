from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bench.report.labels import Box, leader, nearest, place

BOUNDS = Box(0, 0, 500, 300)


def test_a_label_stands_above_its_point_where_nothing_else_does() -> None:
    [box] = place([(250, 150)], [(60, 20)], [], BOUNDS)
    assert (box.left, box.right) == (220, 280)
    assert box.bottom > 150
    assert leader((250, 150), box) == []


def test_a_label_gives_way_to_what_lies_above_and_to_the_border() -> None:
    [box] = place([(250, 150)], [(60, 20)], [Box(200, 151, 300, 200)], BOUNDS)
    assert box.overlap(Box(200, 151, 300, 200)) == 0
    [corner] = place([(499, 299)], [(60, 20)], [], BOUNDS)
    assert corner.outside(BOUNDS) == 0


@given(st.lists(st.tuples(st.integers(80, 420), st.integers(60, 240)), min_size=1, max_size=5, unique=True))
def test_few_labels_never_overlap_each_other_or_the_border(points: list[tuple[int, int]]) -> None:
    dots = [Box(x - 4, y - 4, x + 4, y + 4) for x, y in points]
    boxes = place([(float(x), float(y)) for x, y in points], [(60.0, 20.0)] * len(points), dots, BOUNDS)
    for i, box in enumerate(boxes):
        assert box.outside(BOUNDS) < 1e-6
        assert all(box.overlap(other) < 1e-6 for other in boxes[:i])
        assert all(box.overlap(dot) < 1e-6 for dot in dots)


@given(st.tuples(st.floats(0, 500), st.floats(0, 300)))
def test_a_leader_lies_between_the_point_and_the_label(point: tuple[float, float]) -> None:
    box = Box(200, 100, 260, 120)
    x, y = nearest(point, box)
    assert box.left <= x <= box.right
    assert box.bottom <= y <= box.top
    for dot in leader(point, box):
        assert min(point[0], x) - 1.001 <= dot.left
        assert dot.right <= max(point[0], x) + 1.001
