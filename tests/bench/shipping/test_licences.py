from __future__ import annotations

import pytest

from bench.shipping.licences import restriction


@pytest.mark.parametrize("licence", ["Apache-2.0", "apache-2.0", "MIT", "bsd-3-clause", "CC-BY-4.0", "CC0-1.0"])
def test_what_may_be_passed_on_needs_no_word(licence: str) -> None:
    assert restriction("the weights", licence) == ""


@pytest.mark.parametrize(
    ("licence", "said"),
    [
        ("", "No licence is known of the weights"),
        ("cc-by-nc-4.0", "forbids commercial use"),
        ("CC BY-NC-SA 4.0", "forbids commercial use"),
        ("cc-by-nc-nd-4.0", "forbids commercial use and passing on what is made of it"),
        ("research only", "forbids commercial use"),
        ("dinov3-license", "has terms of its own"),
        ("CC-BY-SA-4.0", "has terms of its own"),
    ],
)
def test_what_is_forbidden_is_said(licence: str, said: str) -> None:
    assert said in restriction("the weights", licence)
