from __future__ import annotations

from collections import Counter

import pytest

from bench.sabotage.catalog import TRAPS, named
from export.errors import UserError


def test_names_are_unique_and_numbers_are_those_of_the_list() -> None:
    assert not [name for name, count in Counter(trap.name for trap in TRAPS).items() if count > 1]
    assert {trap.number for trap in TRAPS} == set(range(1, 35)), "each of the list, and no other"


def test_a_trap_is_asked_for_by_name_or_number() -> None:
    assert [trap.name for trap in named(["zeros"])] == ["zeros"]
    assert {trap.number for trap in named(["23"])} == {23}
    assert named([]) == list(TRAPS)
    with pytest.raises(UserError, match="Unknown trap 'zero'"):
        named(["zero"])
