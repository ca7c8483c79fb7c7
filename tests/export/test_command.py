from __future__ import annotations

import errno

import pytest

from export.command import listed, new_parser, print_table, run_cli, sizes
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
    with pytest.raises(UserError, match="--batches takes whole numbers"):
        sizes("1,many", "--batches")


def test_a_parser_is_called_as_its_module_is_and_keeps_the_lines_of_its_examples() -> None:
    text = new_parser("bench.run", "It runs.", "examples:\n  one\n  two").format_help()
    assert text.startswith("usage: python -m bench.run ")
    assert "  one\n  two\n" in text


def test_no_cell_of_a_table_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", ">number"), [("a" * 150, "1"), ("[b]", "22")], dim=[False, True])
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["name", "number"]
    assert first.split() == ["a" * 150, "1"]
    assert second.split() == ["[b]", "22"]
    assert first.index("1", 150) - second.index("22") == 1, "numbers end in one column"
