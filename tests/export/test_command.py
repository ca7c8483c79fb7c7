from __future__ import annotations

import errno
import sys
from types import SimpleNamespace

import pytest

from export.command import complete, duration, listed, new_parser, print_table, run_cli, sizes
from export.errors import CellError, UserError


def leave(main: object) -> int:
    with pytest.raises(SystemExit) as left:
        run_cli(main)  # type: ignore[arg-type]
    return int(left.value.code or 0)


def raising(error: BaseException) -> object:
    def main() -> int:
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UserError("what", "why", "do"), 2),
        (CellError("what"), 1),
        (KeyboardInterrupt(), 130),
        (OSError(errno.ENOSPC, "full", "file"), 2),
        (OSError(errno.EIO, "broken"), 3),
        (ZeroDivisionError(), 3),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), 2),
        (ModuleNotFoundError("No module named 'bench.gone'", name="bench.gone"), 3),
    ],
)
def test_exit_codes(error: BaseException, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert leave(raising(error)) == code
    told = capsys.readouterr().err
    assert ("Traceback" in told) == (code == 3)


def test_lists_are_separated_by_commas() -> None:
    assert listed("a, b,,c ") == ("a", "b", "c")
    assert listed("none") == listed("") == ()
    assert sizes("1, 8", "--batches") == (1, 8)
    with pytest.raises(UserError, match="--batches takes comma-separated whole numbers"):
        sizes("1,many", "--batches")


def test_a_parser_is_called_as_its_door_is_and_keeps_the_lines_of_its_examples() -> None:
    text = new_parser("bob run", "It runs.", "examples:\n  one\n  two").format_help()
    assert text.startswith("usage: bob run ")
    assert "  one\n  two\n" in text
    assert new_parser("bench.lab", "It runs.").format_usage().startswith("usage: python -m bench.lab ")


@pytest.mark.parametrize("names", [("one", "two"), "a_table:NAMES", "a_table:names"])
def test_a_shell_completes_the_last_name_of_a_list(
    names: str | tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = SimpleNamespace(NAMES={"one": 1, "two": 2}, names=lambda: ["one", "two"])
    monkeypatch.setitem(sys.modules, "a_table", table)
    option = new_parser("bob run", "It runs.").add_argument("--names")
    complete(option, names)
    completer = option.completer  # type: ignore[attr-defined]
    assert completer("") == completer("t") == ["one", "two"]
    assert completer("two,o") == ["two,one"]


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("1h", 3600), ("1.5 m", 90)])
def test_a_time_has_a_unit(text: str, seconds: float) -> None:
    assert duration(text, "--soak") == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "0s", "-5m", "infs", "nanm", "10 days"])
def test_a_time_without_one_gets_a_sentence(text: str) -> None:
    with pytest.raises(UserError, match="--soak takes a time with its unit"):
        duration(text, "--soak")


def test_no_cell_of_a_table_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", ">number"), [("a" * 150, "1"), ("[b]", "22")], dim=[False, True])
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["name", "number"]
    assert first.split() == ["a" * 150, "1"]
    assert second.split() == ["[b]", "22"]
    assert first.index("1", 150) - second.index("22") == 1, "numbers end in one column"
