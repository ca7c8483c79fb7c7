"""Traps in the real parts: the quick ones here, all of them in the slow test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fakes import photograph

from bench.sabotage.__main__ import main
from bench.sabotage.catalog import TRAPS
from export.errors import UserError

QUICK = [
    "enqueue",
    "copies",
    "untuned",
    "fallback",
    "other-build",
    "twice",
    "channels",
    "wrong-feature",
    "small-gap",
    "padding",
    "polls",
    "gaps",
]


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parity is judged on drawn photographs instead of the published ones."""
    drawn = [photograph(seed, 180, 200) for seed in range(8)]
    monkeypatch.setattr("export.convert.verify.photographs", lambda store, images=None: drawn)


@pytest.mark.usefixtures("no_network")
def test_quick_traps_are_caught_and_would_have_fooled_a_naive_harness(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main([*QUICK, "--store", str(tmp_path / "store"), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert code == 0, [one["trouble"] for one in found if not one["caught"]]
    assert {one["name"] for one in found} == set(QUICK)
    assert all(one["answer"]["bites"] for one in found)


@pytest.mark.slow
@pytest.mark.usefixtures("no_network")
def test_every_trap_is_caught(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "traps.md"
    code = main(["--store", str(tmp_path / "store"), "--markdown", str(page), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert code == 0, [one["trouble"] for one in found if not one["caught"]]
    assert len(found) == len(TRAPS)
    assert f"{len(TRAPS)} of {len(TRAPS)} are caught." in page.read_text()


def test_a_page_of_some_traps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="The page is of all traps"):
        main(["zeros", "--markdown", str(tmp_path / "traps.md")])


def test_the_list_runs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "zeros"]) == 0
    assert "zeros as input" in capsys.readouterr().out
