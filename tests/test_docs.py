"""What the documents and the help texts say can be done: targets, modules, options, files and links are there."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
from importlib import import_module

import pytest
from project import ROOMS, ROOT, pyproject

from bench.__main__ import COMMANDS

DOCUMENTS = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
}
DOCUMENTS["requirements/README.md"] = (ROOT / "requirements" / "README.md").read_text()
PYTHON = re.compile(r"^(?:\S*/)?(?:python3? -m |bob )")


def commands(text: str) -> list[str]:
    """The shell commands of a document: lines of fenced blocks without a language, and whole inline code."""
    text = re.sub(r" *\\\n\s*", " ", text)  # a command may go on in the next line
    fenced = "\n".join(re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    inline = "\n".join(re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)))
    lines = [re.split(r"\s{2,}|\s#\s", line.strip())[0] for line in f"{fenced}\n{inline}".splitlines()]
    return [line for line in lines if line.startswith("make ") or PYTHON.match(line)]


def recipe(target: str) -> list[str]:
    """The Python commands that ``make …`` would run; fails for a target that is not there."""
    if not shutil.which("make"):
        pytest.skip("make is not installed")
    environment = {"PATH": os.environ["PATH"]}  # not the variables of a `make test ARGS=…` that runs this test
    done = subprocess.run(
        ["make", "-n", *shlex.split(target)[1:]], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{target}: {done.stderr}"
    lines = done.stdout.replace("\\\n", " ").splitlines()  # a command may go on in the next line
    return [line.partition(" >")[0] for line in lines if PYTHON.match(line)]


def parser_of(module: str) -> argparse.ArgumentParser | None:
    """The parser of a module, or of a folder's ``__main__``; None for a module without one."""
    found = import_module(module)
    if hasattr(found, "__path__"):
        found = import_module(f"{module}.__main__")
    return found.parser() if hasattr(found, "parser") else None


def check(command: str) -> None:
    """Parse a command with the parser that it would meet; nothing is run."""
    if command.startswith("make "):
        for line in recipe(command):
            check(line)
        return
    module, *words = shlex.split(PYTHON.sub("", command))
    if "python" not in command.split(" ")[0]:
        if module == "COMMAND" or module.startswith("-"):
            return
        assert module in COMMANDS, f"there is no bob {module}"
        module = COMMANDS[module][0]
    if module.partition(".")[0] in ROOMS:
        (parser_of(module) or argparse.ArgumentParser()).parse_args(words)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_of_documents_are_understood(document: str) -> None:
    for command in commands(DOCUMENTS[document]):
        check(command)


@pytest.mark.parametrize("module", ["bench.__main__", *(module for module, _ in COMMANDS.values())])
def test_commands_of_help_texts_are_understood(module: str) -> None:
    parser = parser_of(module)
    assert parser, f"{module} has no parser()"
    for line in f"{parser.description}\n{parser.epilog}".splitlines():
        command = re.split(r"\s{2,}", line.strip())[0]
        if PYTHON.match(command):
            check(command)


def test_the_readme_is_read() -> None:
    found = commands(DOCUMENTS["README.md"])
    assert {"make demo", "make test"} <= set(found)
    assert any(command.startswith("bob run --data") for command in found)


def test_a_wrong_option_and_a_wrong_target_are_found(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        check("python -m export --lits")
    assert "--lits" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        check(".venv/bin/bob run --engins ort")
    with pytest.raises(AssertionError, match="no bob rnu"):
        check("bob rnu")
    with pytest.raises(AssertionError, match="demos"):
        check("make demos")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_and_paths_resolve(document: str) -> None:
    text = DOCUMENTS[document]
    folder = (ROOT / document).parent
    links = [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"https?://", target)]
    paths = re.findall(r"`((?:export|engines|tasks|bench|tests|requirements)/[\w./-]+)`", text)
    missing = [target for target in links if not (folder / target.partition("#")[0]).exists()]
    missing += [path for path in paths if not (ROOT / path).exists()]
    assert not missing


def test_extras_that_the_documents_name() -> None:
    installing, project = DOCUMENTS["docs/installing.md"], pyproject()["project"]
    named = {extra for group in re.findall(r"'\.\[([\w,]+)\]'", installing) for extra in group.split(",")}
    assert named
    assert named <= set(project["optional-dependencies"])
