"""What a terminal, a pipe or a closed stream does to a command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRINTS = """
import sys
from export.command import print_table, run_cli
from export.errors import UserError
from export.progress import say
def main():
    say("● progress")
    print_table(("rank", ">top-1 ± error"), [("1–3 ●", "59.6±1.7"), ("café …", "\\udcff→")])
    if "fail" in sys.argv:
        raise UserError("It failed — ±1.")
    if "many" in sys.argv:
        for i in range(100_000): print(i)
    return 0
run_cli(main)
"""


def run(shell: str, *, words: str = "", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """A shell command in which COMMAND stands for a command that prints every kind of character."""
    command = f"{sys.executable} -c '{PRINTS}' {words}"
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(["bash", "-c", shell.replace("COMMAND", command)], capture_output=True, env=env)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
@pytest.mark.parametrize("words", ["", "fail"])
def test_a_character_that_an_encoding_lacks_becomes_one_that_it_has(encoding: str, words: str) -> None:
    done = run("COMMAND", words=words, PYTHONIOENCODING=encoding)
    out, err = done.stdout.decode(encoding), done.stderr.decode(encoding)
    assert done.returncode == (2 if words else 0)
    assert "Traceback" not in err
    assert ("59.6±1.7" if encoding != "ascii" else "59.6+-1.7") in out
    assert ("1–3 ●" if encoding == "utf-8" else "1-3 *") in out
    assert ("café" if encoding != "ascii" else "cafe") in out
    assert ("● progress" if encoding == "utf-8" else "* progress") in err


@pytest.mark.parametrize(
    ("shell", "words", "code"),
    [
        ("COMMAND | head -1; exit ${PIPESTATUS[0]}", "many", 0),
        ("COMMAND | true; exit ${PIPESTATUS[0]}", "", 0),
        ("COMMAND 2>&1 | head -1; exit ${PIPESTATUS[0]}", "many", 0),
        ("COMMAND 2>&1 >/dev/null | true; exit ${PIPESTATUS[0]}", "fail", 2),
        ("COMMAND >&- 2>&- <&-", "", 0),
        ("COMMAND >&- 2>&- <&-", "fail", 2),
        ("COMMAND >/dev/full", "", 2),
        ("COMMAND 2>/dev/full", "fail", 2),
    ],
)
def test_a_closed_or_full_stream_costs_no_traceback(shell: str, words: str, code: int) -> None:
    done = run(shell, words=words)
    assert done.returncode == code
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


def test_progress_never_lands_among_the_results() -> None:
    done = run("COMMAND 2>&-")
    assert done.returncode == 0
    assert "progress" not in done.stdout.decode()
