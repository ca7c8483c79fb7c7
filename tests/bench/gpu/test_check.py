"""Steps in processes of their own: one that hangs, crashes or dies costs no other, and leaves what it found."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bench.gpu import check
from bench.gpu.check import RESERVE, bounded, run
from bench.gpu.result import Result, place, read, write
from bench.gpu.steps import STEPS, Job

NOTES = """
import sys, subprocess, time
import msgspec
from pathlib import Path
from bench.gpu.result import Notes, Result
from bench.gpu.steps import Job
job = msgspec.json.decode(sys.argv[1], type=Job)
notes = Notes(Path(job.out), Result(job.step, "cut", "it ended before it was through"))
notes.line("found", "one thing")
print("something", flush=True)
"""
HANGS = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
notes.line("child", str(child.pid))
time.sleep(600)
"""


def job(folder: Path) -> Job:
    return Job("tests", "no.yaml", str(folder))


def test_what_hangs_is_ended_with_all_that_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "GRACE", 0.1)
    found = bounded(job(tmp_path), 3.0, ("-c", NOTES + HANGS))
    assert (found.state, found.why) == ("cut", "its time was over (3 s)")
    assert found.lines["found"] == "one thing"
    assert found == read(tmp_path, "tests")
    with contextlib.suppress(psutil.NoSuchProcess):
        assert psutil.Process(int(found.lines["child"])).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    ("ends", "why"),
    [
        ("import os; os.kill(os.getpid(), 11)", "its process was ended by SIGSEGV"),
        ("raise RuntimeError('no luck')", "RuntimeError: no luck"),
    ],
)
def test_what_crashes_has_failed_and_keeps_what_it_found(tmp_path: Path, ends: str, why: str) -> None:
    found = bounded(job(tmp_path), 60.0, ("-c", NOTES + ends))
    assert (found.state, found.why) == ("failed", why)
    assert found.lines == {"found": "one thing"}
    assert "something" in place(tmp_path, "tests").with_suffix(".log").read_text()


def test_a_crash_before_anything_is_no_older_failure(tmp_path: Path) -> None:
    write(tmp_path, Result("tests", "failed", "an older reason"))
    assert bounded(job(tmp_path), 60.0, ("-c", "raise SystemExit('a newer one')")).why == "a newer one"


def test_a_step_takes_half_of_what_is_left_and_the_last_one_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, limits = [0.0], {}

    def takes_all(job: Job, limit: float) -> Result:
        limits[job.step] = limit
        now[0] += limit
        return Result(job.step, "cut")

    monkeypatch.setattr(check, "bounded", takes_all)
    whole = 600 + RESERVE
    assert len(list(run(lambda step: Job(step, "", str(tmp_path)), whole / 60, lambda: now[0]))) == len(STEPS)
    assert list(limits.values()) == pytest.approx([300, 150, 75, 37.5, 37.5])
    assert list(limits) == list(STEPS)


def test_a_step_without_time_is_skipped_and_keeps_what_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(job: Job, limit: float) -> Result:
        raise AssertionError("begun without time")

    monkeypatch.setattr(check, "bounded", never)
    write(tmp_path, Result("tensorrt", "done"))
    found: Iterator[Result] = run(lambda step: Job(step, "", str(tmp_path)), (RESERVE + 1) / 60, lambda: 0.0)
    states = {one.step: (one.state, one.why) for one in found}
    assert states["tests"] == ("skipped", "no time was left for it")
    assert states["tensorrt"] == ("done", "")
