"""Runs measurements, each in a child process of its own, and turns a child's death into a reason."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import msgspec

from bench.measure.monitor import Monitor
from bench.measure.worker import Job, Outcome
from bench.records.parts import Failure

START_SECONDS = 120.0
"""What a child may take besides measuring: imports, loading a plan."""
LONGEST = 20
"""A scenario may take as many times its seconds: three series, each warming up for one and stopping after four at
the most, are fifteen."""


def run(job: Job, limit: float | None = None) -> Outcome:
    """Measure ``job`` in a child process.

    Args:
        limit: seconds after which the child is killed; by default what its settings allow, and the start.

    Returns:
        The child's outcome; where it died or hung, an outcome whose ``failure`` says how.
    """
    limit = limit or START_SECONDS + len(job.scenarios) * LONGEST * job.settings.seconds
    with tempfile.TemporaryDirectory(prefix="backbones-") as folder:
        job_file, result_file = Path(folder, "job.json"), Path(folder, "result.json")
        job_file.write_bytes(msgspec.json.encode(job))
        command = [sys.executable, "-m", "bench.measure.worker", str(job_file), str(result_file)]
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as child:
            try:
                with Monitor(child.pid) as monitor:
                    _, errors = child.communicate(timeout=limit)
            except subprocess.TimeoutExpired:
                child.kill()
                child.communicate()
                return _failed("TimeoutExpired", f"The measurement did not end within {limit:.0f} s.", "")
            except BaseException:
                child.kill()
                raise
        if child.returncode == 0 and result_file.exists():
            outcome = msgspec.json.decode(result_file.read_bytes(), type=Outcome)
            return replace(outcome, monitoring=monitor.summary())
    last = (errors.strip().splitlines() or ["it printed nothing"])[-1]
    if child.returncode < 0:
        name = signal.Signals(-child.returncode).name
        hint = " (often: out of memory)" if name == "SIGKILL" else ""
        return _failed("ChildDied", f"The measuring process was ended by {name}{hint}.", last)
    return _failed("ChildDied", f"The measuring process ended with code {child.returncode}.", last)


def _failed(kind: str, what: str, why: str) -> Outcome:
    return Outcome(failure=Failure(kind, what, why))
