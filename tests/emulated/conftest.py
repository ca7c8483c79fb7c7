"""Boards for tests: made where they can be, skipped with the reason where not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from emulated.bed import LIGHT, Board, NoBed, board

MakeBoard = Callable[..., Board]


@pytest.fixture(scope="session")
def make_board(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> MakeBoard:
    """``make_board(PI5, python="3.13", core="cortex-a76")``: as :func:`emulated.bed.board`, in a folder of its own."""

    def make(
        files: Mapping[str, str], python: str = "3.11", core: str = "cortex-a76", packages: Sequence[str] = LIGHT
    ) -> Board:
        folder: Path = tmp_path_factory.mktemp("board")
        try:
            return board(folder, files, python, core, packages)
        except NoBed as reason:
            if "network" in request.config.getoption("--require"):
                pytest.fail(f"--require network: {reason}", pytrace=False)
            pytest.skip(str(reason))

    return make
