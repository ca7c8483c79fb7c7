from __future__ import annotations

from typing import cast

import pytest

from bench.sabotage.bed import Bed
from bench.sabotage.trap import Answer, Kind, Sprung, Traps, refusal, require, require_bite, spring
from export.errors import UserError

NOWHERE = cast(Bed, None)


def sprung(expected: Kind = "refused", answer: Kind = "refused", bites: bool = True, holds: bool = True) -> Sprung:
    traps = Traps("timing")

    @traps.add("made-up", 1, "a trap", "nothing", expected)
    def made_up(bed: Bed) -> Answer:
        require_bite(bites, "3 ms either way")
        require(holds, "it gave 3 ms")
        return Answer(answer, "no", "yes")

    return spring(traps.all[0], NOWHERE)


def test_a_trap_is_caught_where_the_answer_is_the_expected_one() -> None:
    assert sprung().caught
    assert not sprung().trouble


@pytest.mark.parametrize(
    ("how", "trouble"),
    [
        ({"answer": "flagged"}, "flagged, where refused was expected"),
        ({"bites": False}, "not injected: 3 ms either way"),
        ({"holds": False}, "got through: it gave 3 ms"),
    ],
)
def test_everything_else_is_not(how: dict[str, object], trouble: str) -> None:
    found = sprung(**how)  # type: ignore[arg-type]
    assert not found.caught
    assert found.trouble == trouble


def test_a_bug_in_a_trap_is_its_trouble_and_does_not_stop_the_others() -> None:
    traps = Traps("timing")

    @traps.add("broken", 1, "a trap", "nothing", "refused")
    def broken(bed: Bed) -> Answer:
        raise ZeroDivisionError("deep inside")

    found = spring(traps.all[0], NOWHERE)
    assert not found.caught
    assert "ZeroDivisionError: deep inside" in found.trouble


def test_a_refusal_is_its_own_sentence_and_silence_gets_through() -> None:
    def refuses() -> None:
        raise UserError("No.", "Because.", "something else")

    assert refusal(refuses) == "No. Because."
    with pytest.raises(Exception, match="no error, but 3"):
        refusal(lambda: 3)
