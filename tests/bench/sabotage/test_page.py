from __future__ import annotations

from dataclasses import replace

from bench.sabotage.page import page
from bench.sabotage.trap import Answer, Sprung, Trap

TRAP = Trap(
    "made-up", 5, "timing", "too few | samples", "twenty of them", "refused", lambda bed: Answer("refused", "", "")
)
CAUGHT = Sprung(
    TRAP, Answer("refused", "p99 7.25 ms is n/a: 20 of 662 samples; key 0123456789abcdef, 45 %", ""), "", 1.0
)


def test_numbers_that_vary_are_left_out_and_the_rest_is_the_harness_s_own() -> None:
    text = page([CAUGHT])
    assert "| 5 | too few \\| samples | twenty of them | refused |" in text
    assert "p99 … ms is n/a: 20 of 662 samples; key …, … %" in text
    assert "1 of 1 are caught." in text
    other = replace(
        CAUGHT, answer=Answer("refused", "p99 9.5 ms is n/a: 20 of 662 samples; key fedcba9876543210, 3 %", "")
    )
    assert page([other]) == text


def test_what_got_through_says_so() -> None:
    text = page([Sprung(TRAP, None, "got through: p99 7 ms\nand more", 1.0)])
    assert "**not caught**" in text
    assert "and more" not in text
    assert "0 of 1 are caught." in text
