"""The contract, held by a task that reads tokens; and the page on adding a task, done: its file written, its line
registered, its test run, the digits scored."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from batches import pooled, rows_of, score, with_features
from project import ROOT

import tasks
from export.errors import CellError
from tasks.base import Batchwise, Fitted, Labels, Score, Splits, Task, TaskMeta
from tasks.catalog import TASKS, task
from tasks.knn import Knn
from tasks.scoring.metrics import accuracy
from tasks.scoring.requirements import blocks, require_finite, require_fittable, require_judgeable

PAGE = (ROOT / "docs" / "adding-a-task.md").read_text()


@pytest.fixture
def snippets() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_page_works_as_it_stands(
    snippets: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digit_splits: Splits
) -> None:
    file, line, test = snippets
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
        found = score(added, digit_splits)
        assert found.main.name == added.meta.main_metric
        assert len(found.per_sample) == len(digit_splits.test)
        space: dict[str, Any] = {}
        exec(compile(test, "test", "exec"), space)
        tests = [name for name in space if name.startswith("test_")]
        assert tests
        for name in tests:
            space[name](digit_splits)
    finally:
        sys.modules.pop(module, None)
        vars(tasks).pop(module.rpartition(".")[2], None)


def test_it_is_short_and_clean(snippets: list[str]) -> None:
    file = snippets[0]
    body = file[file.index("\nclass ") :]
    assert len([text for text in body.splitlines() if text.strip()]) <= 20
    for snippet, path in ((file, "tasks/nearest_mean.py"), (snippets[2], "tests/tasks/test_nearest_mean.py")):
        command = [sys.executable, "-m", "ruff", "check", "--quiet", "--stdin-filename", path, "-"]
        done = subprocess.run(command, cwd=ROOT, input=snippet, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_readme_says_where() -> None:
    assert "docs/adding-a-task.md" in (ROOT / "README.md").read_text()


class TokenMean(Task):
    """The class whose mean over images and tokens is nearest."""

    meta = TaskMeta("token_mean", 1, "accuracy", "Nearest mean of the mean of tokens.", outputs=("tokens",))

    def fit(self, train: Batchwise, val: Batchwise, seed: int) -> Fitted:
        require_fittable(train.labelled, val.labelled)
        require_finite(self.meta.outputs, train=train, val=val)
        rows, present = self._pooled(train), np.unique(train.labels)
        means = np.stack([rows[train.labels == label].mean(axis=0) for label in present])
        return Fitted(train, seed, {"present": present, "means": means})

    def judge(self, fitted: Fitted, test: Batchwise) -> Score:
        require_judgeable(fitted.train.labelled, test.labelled)
        require_finite(self.meta.outputs, test=test)
        distances = ((self._pooled(test)[:, None] - fitted.arrays["means"]) ** 2).sum(axis=2)
        return Score(*accuracy(fitted.arrays["present"][distances.argmin(axis=1)], test.labels))

    @staticmethod
    def _pooled(part: Batchwise) -> npt.NDArray[np.float32]:
        return np.concatenate([block.mean(axis=1) for block in blocks(part.outputs["tokens"])])


@pytest.fixture
def token_splits(digit_splits: Splits, tmp_path: Path) -> Splits:
    """The eight rows of a digit as its tokens, float32 [n, 8, 8], on disk; their pooled features are of no use."""

    def seen(name: str, part: Batchwise) -> Batchwise:
        np.save(tmp_path / f"{name}.npy", part.features.reshape(-1, 8, 8))
        tokens = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
        return Batchwise({"tokens": tokens, "features": np.full((len(part), 2), np.nan, np.float32)}, part.labelled)

    return Splits(*(seen(name, part) for name, part in vars(digit_splits).items()))


def test_a_task_reads_the_outputs_that_it_names(
    token_splits: Splits, digit_splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sklearn.neighbors import NearestCentroid

    train, test = (part.features.reshape(-1, 8, 8).mean(axis=1) for part in (digit_splits.train, digit_splits.test))
    peer = NearestCentroid().fit(train, digit_splits.train.labels)
    wanted = 100 * peer.score(test, digit_splits.test.labels)
    monkeypatch.setattr("tasks.scoring.requirements.BLOCK", 100 * 4 * 64)
    found = score(TokenMean(), token_splits)
    assert found.main.value == pytest.approx(wanted, abs=1e-6)
    assert wanted > 50
    with pytest.raises(CellError, match="The features of 900 of 900 train"):
        score(Knn(), token_splits)
    tokens = np.array(token_splits.test.outputs["tokens"])
    tokens[5, 2, 1] = np.inf
    broken = Batchwise({"tokens": tokens}, token_splits.test.labelled)
    with pytest.raises(CellError, match="The tokens of 1 of 497 test"):
        TokenMean().judge(TokenMean().fit(token_splits.train, token_splits.val, 0), broken)


def test_rows_and_targets_belong_together(digit_splits: Splits) -> None:
    part = digit_splits.val
    with pytest.raises(ValueError, match="features has 399 rows for 400 targets"):
        with_features(part, part.features[1:])
    assert len(part) == len(part.labelled) == 400
    assert part.features is part.outputs["features"]
    assert len(part.labelled.junk) == 0


def test_the_smallest_class_is_of_those_that_have_images() -> None:
    part = pooled(np.zeros((6, 1)), np.array([0, 0, 2, 2, 2, 0]), ("a", "b", "c", "d"))
    assert part.smallest_class() == (3, "a")
    assert rows_of(part, slice(1, None)).smallest_class() == (2, "a")


def test_a_fit_that_is_no_graph_says_so(digit_splits: Splits) -> None:
    few = rows_of(digit_splits.train, slice(0, 60))
    assert Knn().head(Knn().fit(few, few, seed=0)) is None
    assert Labels(few.labels, few.classes).junk.shape == (0, 2)
