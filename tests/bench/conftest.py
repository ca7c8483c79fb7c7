"""What the tests of a sweep share: nothing is measured again because of what else runs on the machine that tests."""

from __future__ import annotations

import pytest
from fakes import photograph


@pytest.fixture(autouse=True)
def one_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.measure.rounds.ATTEMPTS", 1)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parity is judged on drawn photographs instead of the published ones."""
    drawn = [photograph(seed, 180, 200) for seed in range(8)]
    monkeypatch.setattr("export.convert.verify.photographs", lambda store, images=None: drawn)
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("somebody asks the network"))
