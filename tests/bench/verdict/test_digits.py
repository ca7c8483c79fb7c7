from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.verdict.digits import decimals, number, share, with_error


def test_numbers_keep_three_digits_and_all_before_the_point() -> None:
    shown = [number(v) for v in (0.01234, 0.7, 4.567, 12.34, 123.4, 12345.6, 0.0, float("nan"))]
    assert shown == ["0.0123", "0.700", "4.57", "12.3", "123", "12,346", "0", "n/a"]


@given(st.floats(1e-3, 1e6))
def test_a_number_is_off_by_at_most_half_its_third_digit(value: float) -> None:
    shown = float(number(value).replace(",", ""))
    assert abs(shown - value) <= max(0.5 * 10.0 ** (math.floor(math.log10(value)) - 2), 0.5e-6) * 1.001 or value >= 1000


def test_a_share_is_whole_percent_and_never_rounded_to_none_or_all() -> None:
    shown = [share(v) for v in (None, 0.0, 0.001, 0.25, 0.994, 0.999, 1.0)]
    assert shown == ["n/a", "0", "< 1", "25", "99", "> 99", "100"]


@pytest.mark.parametrize(
    ("values", "errors", "places"),
    [
        ([85.0, 88.1, 100.0], [3.6, 3.1, 0.0], 1),
        ([0.9012, 0.8955, float("nan")], [], 3),
        ([90.01, 90.02, 90.04], [], 2),
        ([85.0, 88.0], [0.04, 0.03], 2),
        ([1200.0, 900.0], [], 0),
        ([0.0, 0.0], [], 2),
        ([], [], 1),
    ],
)
def test_decimals_of_a_column_show_its_differences(values: list[float], errors: list[float], places: int) -> None:
    assert decimals(values, errors) == places


def test_a_score_bears_its_error_where_it_has_one() -> None:
    assert [with_error(*of) for of in ((59.61, 1.74, 1), (0.9, None, 3), (None, 1.0, 1), (0.5, math.nan, 2))] == [
        "59.6±1.7",
        "0.900",
        "n/a",
        "0.50",
    ]
