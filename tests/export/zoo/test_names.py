from __future__ import annotations

from export.zoo.backbones import listing
from export.zoo.names import names


def test_the_names_are_those_of_the_zoo() -> None:
    assert names() == [row.name for row in listing()]
