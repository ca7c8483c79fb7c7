"""``bob``: its table, its help, and what it says of a command that is not there."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest
from project import ROOT, pyproject

from bench.__main__ import COMMANDS, GROUPS, main, parser
from export import __version__
from export.errors import UserError


def test_help_lists_every_command_in_its_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    text = capsys.readouterr().out
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert capsys.readouterr().out == text
    places = [text.index(f"\n{title}:\n") for title in GROUPS]
    assert places == sorted(places)
    assert all(f"\n  {name} " in text for name in COMMANDS)
    assert text.index("bob run") < text.index("bob rank") < text.index("bob pick"), "the usual path"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_s_help_names_the_door(name: str) -> None:
    assert import_module(COMMANDS[name][0]).parser().format_usage().startswith(f"usage: bob {name} ")


def test_an_unknown_command_gets_its_neighbours(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="Unknown command 'rnak'") as error:
        main(["rnak", "--json"])
    assert "rank" in error.value.why
    assert error.value.remedy == "bob --help"
    with pytest.raises(SystemExit, match="2"):
        main(["--jsno"])


def test_the_command_takes_the_exit_code_and_the_words_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engines", "--json"]) == 0
    assert '"engine": "null:cpu"' in capsys.readouterr().out
    done = subprocess.run([sys.executable, "-m", "bench", "pick", "no such folder"], cwd=ROOT, capture_output=True)
    assert done.returncode == 2
    assert b"Try: bob run" in done.stderr


def test_the_version_is_the_project_s(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"bob {__version__}\n"


def test_it_is_the_only_script() -> None:
    assert pyproject()["project"]["scripts"] == {parser().prog: "bench.__main__:cli"}
