"""The process of one step: ``python -m bench.gpu.child JOB``. It ends in a result file, however it ends."""

from __future__ import annotations

import hashlib
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from bench.gpu.result import Notes, Result, read
from bench.gpu.steps import STEPS, Job
from export.child import ROOT
from export.errors import Unavailable, UserError, first_line
from export.progress import say
from export.store import key


def work(job: Job) -> None:
    """Run the step, unless it is done already. Until it says otherwise its result is that it was cut."""
    from bench.measure.machine import environment

    step, folder, start = STEPS[job.step], Path(job.out), time.monotonic()
    here = environment()
    of = key("gpu step", step=job.step, sources=sources(), environment=msgspec.to_builtins(here), tests=list(job.tests))
    before = read(folder, job.step)
    if before and before.state == "done" and before.of == of and not step.resumes:
        say(f"{job.step}: done before")
        return
    notes = Notes(folder, Result(job.step, "cut", "it ended before it was through", of, environment=here))

    def end(**how: Any) -> None:
        notes.become(replace(notes.result, **{"why": "", **how}, seconds=time.monotonic() - start))

    try:
        step.work(job, notes)
    except Unavailable as error:
        end(state="skipped", why=f"{error.what} {error.why}".strip())
    except UserError as error:
        end(state="failed", why=f"{error.what} {error.why}".strip())
    except KeyboardInterrupt:
        end(state="cut", why="its time was over")
        raise
    except Exception as error:
        end(state="failed", why=f"a bug: {type(error).__name__}: {first_line(error)}")
        raise
    else:
        end(state="done")


def sources(root: Path = ROOT) -> str:
    """A hash over the code that the figures and tests of a GPU are of."""
    digest = hashlib.sha256()
    for folder in ("engines", "export", "tests/engines", "bench/figures"):
        for file in sorted((root / folder).rglob("*")):
            if file.suffix in (".py", ".cu", ".cpp", ".h") and file.is_file():
                digest.update(file.read_bytes())
    return digest.hexdigest()


def main() -> None:
    """Run the job that the argument is. SIGTERM is as Ctrl-C: what was begun is ended, and what it holds given back."""

    def interrupt(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    work(msgspec.json.decode(sys.argv[1], type=Job))


if __name__ == "__main__":
    main()
