"""What the tests of a sweep share: nothing is measured again because of what else runs on the machine that tests."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def one_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.measure.rounds.ATTEMPTS", 1)
