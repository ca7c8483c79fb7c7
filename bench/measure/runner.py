"""Runs measurements, each in a child process of its own, and turns a child's death into a reason."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from bench.measure.monitor import Monitor
from bench.measure.worker import Job, Outcome
from bench.records.parts import Failure
from export.child import Died, answer

LONGEST = 7
"""A scenario may take as many times what it takes about: a series ends after four times its least time at the most, and
eight trials of ``server`` may each take fifteen times as long."""
START_SECONDS = 120.0
"""What a child may take besides measuring: imports, loading a plan."""


def run(job: Job, limit: float | None = None) -> Outcome:
    """Measure ``job`` in a child process.

    Args:
        limit: seconds after which the child is killed; by default what its settings allow, and the start.

    Returns:
        The child's outcome; where it died or hung, an outcome whose ``failure`` says how.
    """
    limit = limit or START_SECONDS + LONGEST * job.takes
    monitors: list[Monitor] = []

    def watch(pid: int) -> Monitor:
        monitors.append(Monitor(pid))
        return monitors[-1]

    try:
        found = answer(["-m", "bench.measure.worker"], msgspec.json.encode(job), limit, watch)
    except Died as death:
        if death.code is None:
            return _failed("TimeoutExpired", f"The measurement did not end within {limit:.0f} s.", "")
        if death.signal:
            hint = " (often: out of memory)" if death.signal == "SIGKILL" else ""
            return _failed("ChildDied", f"The measuring process was ended by {death.signal}{hint}.", death.last)
        return _failed("ChildDied", f"The measuring process ended with code {death.code}.", death.last)
    outcome = msgspec.json.decode(found, type=Outcome)
    return replace(outcome, monitoring=monitors[0].summary())


def _failed(kind: str, what: str, why: str) -> Outcome:
    return Outcome(failure=Failure(kind, what, why))
