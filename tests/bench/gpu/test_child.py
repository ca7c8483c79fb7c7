"""How a step's end becomes its result."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.gpu import child
from bench.gpu.result import Notes, read
from bench.gpu.steps import STEPS, Job, Step
from export.errors import CellError, Unavailable


def ending(error: BaseException | None, monkeypatch: pytest.MonkeyPatch, resumes: bool = False) -> list[str]:
    """Let the step ``tests`` end so; each run is noted in the list."""
    runs: list[str] = []

    def work(job: Job, notes: Notes) -> None:
        runs.append(job.step)
        notes.line("found", "one thing")
        if error:
            raise error

    monkeypatch.setitem(STEPS, "tests", Step("made up", work, resumes))
    return runs


@pytest.mark.parametrize(
    ("error", "state", "why", "raised"),
    [
        (None, "done", "", False),
        (Unavailable("It cannot run.", "No GPU.", "buy one"), "skipped", "It cannot run. No GPU.", False),
        (CellError("2 tests failed."), "failed", "2 tests failed.", False),
        (KeyboardInterrupt(), "cut", "its time was over", True),
        (ZeroDivisionError("oh"), "failed", "a bug: ZeroDivisionError: oh", True),
    ],
)
def test_ends(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException | None,
    state: str,
    why: str,
    raised: bool,
) -> None:
    ending(error, monkeypatch)
    if error and raised:
        with pytest.raises(type(error)):
            child.work(Job("tests", "", str(tmp_path)))
    else:
        child.work(Job("tests", "", str(tmp_path)))
    found = read(tmp_path, "tests")
    assert found is not None
    assert (found.state, found.why, found.lines) == (state, why, {"found": "one thing"})
    assert found.environment is not None
    assert found.environment.libraries["numpy"]


def test_what_is_done_is_not_done_again_until_the_code_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = ending(None, monkeypatch)
    job = Job("tests", "", str(tmp_path))
    child.work(job)
    child.work(job)
    assert len(runs) == 1
    monkeypatch.setattr(child, "sources", lambda: "other code")
    child.work(job)
    assert len(runs) == 2


def test_what_failed_or_goes_on_by_itself_runs_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for error, resumes in ((CellError("no"), False), (None, True)):
        runs = ending(error, monkeypatch, resumes)
        for _ in range(2):
            child.work(Job("tests", "", str(tmp_path)))
        assert len(runs) == 2


def test_the_sources_are_what_decides(tmp_path: Path) -> None:
    (tmp_path / "engines").mkdir()
    file = tmp_path / "engines" / "kernel.cu"
    file.write_text("a")
    first = child.sources(tmp_path)
    (tmp_path / "engines" / "notes.txt").write_text("b")
    assert child.sources(tmp_path) == first
    file.write_text("b")
    assert child.sources(tmp_path) != first
