from __future__ import annotations

from bench.verdict.show import number, share


def test_numbers_keep_three_digits_and_all_before_the_point() -> None:
    shown = [number(v) for v in (0.01234, 4.567, 12.34, 123.4, 12345.6, float("nan"))]
    assert shown == ["0.012", "4.57", "12.3", "123", "12,346", "n/a"]


def test_a_share_is_whole_percent_and_never_rounded_to_none_or_all() -> None:
    shown = [share(v) for v in (None, 0.0, 0.001, 0.25, 0.994, 0.999, 1.0)]
    assert shown == ["n/a", "0", "< 1", "25", "99", "> 99", "100"]
