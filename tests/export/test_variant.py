from __future__ import annotations

import pytest

from export.errors import UserError
from export.variant import cut_depth, input_size


@pytest.mark.parametrize(("text", "size"), [("224", "224x224"), ("352x480", "352x480"), (" 96 ", "96x96")])
def test_a_number_is_both_sides(text: str, size: str) -> None:
    assert input_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "9", "-224", "224.5", "big", "224x", "x224", "99999", "224x224x3", "10,20"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="size must be height x width"):
        input_size(text)


@pytest.mark.parametrize("text", ["1", "12", "all"])
def test_a_depth_is_a_number_or_all(text: str) -> None:
    assert cut_depth(text) == text


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "last", "1234"])
def test_what_is_no_depth_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="depth must be a whole number from 1, or all"):
        cut_depth(text)
