from __future__ import annotations

from pathlib import Path

import pytest
from fakes import photograph

from export.store import Store


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of drawn photographs of several sizes, for parity without a network."""
    folder = tmp_path_factory.mktemp("photos")
    for i, (h, w) in enumerate([(180, 240), (240, 180), (200, 200), (333, 161), (90, 500), (161, 160), (300, 400)]):
        (folder / f"{i}.jpg").write_bytes(photograph(i, h, w))
    return folder


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """One store for the session's artifacts: exporting the same network twice is no test."""
    return Store(tmp_path_factory.mktemp("store"), lambda line: None)
