"""The page on adding a task, done: its file written, its line registered, its test run, the digits scored."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from project import ROOT

import tasks
from tasks.base import Splits
from tasks.catalog import TASKS, task

PAGE = (ROOT / "docs" / "adding-a-task.md").read_text()


@pytest.fixture
def blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_page_works_as_it_stands(
    blocks: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digit_splits: Splits
) -> None:
    file, line, test = blocks
    [(name, target)] = ast.literal_eval(f"{{{line}}}").items()
    module = target.partition(":")[0]
    (tmp_path / f"{module.rpartition('.')[2]}.py").write_text(file)
    monkeypatch.setattr(tasks, "__path__", [*tasks.__path__, str(tmp_path)])
    monkeypatch.setattr(TASKS, "_table", dict(TASKS._table))
    TASKS.add(name, target)
    try:
        added = task(name)
        assert added.meta.name == name
        assert added.meta.protocol in " ".join(file.split())
        added.check(digit_splits)
        score = added.score(digit_splits, seed=0)
        assert score.main.name == added.meta.main_metric
        assert len(score.per_sample) == len(digit_splits.test)
        space: dict[str, Any] = {}
        exec(compile(test, "test", "exec"), space)
        tests = [found for found in space if found.startswith("test_")]
        assert tests
        for found in tests:
            space[found](digit_splits)
    finally:
        sys.modules.pop(module, None)
        vars(tasks).pop(module.rpartition(".")[2], None)


def test_it_is_short_and_clean(blocks: list[str]) -> None:
    file = blocks[0]
    body = file[file.index("class ") :]
    assert len([text for text in body.splitlines() if text.strip()]) <= 20
    for block, path in ((file, "tasks/nearest_mean.py"), (blocks[2], "tests/tasks/test_nearest_mean.py")):
        command = [sys.executable, "-m", "ruff", "check", "--quiet", "--stdin-filename", path, "-"]
        done = subprocess.run(command, cwd=ROOT, input=block, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_readme_says_where() -> None:
    assert "docs/adding-a-task.md" in (ROOT / "README.md").read_text()
