"""Runs measurements, each in a child process of its own, and turns a child's death into a reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec

from bench.measure.energy.beside import Beside
from bench.measure.energy.sensor import Part
from bench.measure.monitor import Monitor
from bench.measure.scenarios.catalog import scenario
from bench.measure.worker import Job, Outcome
from bench.records.energy import Energy
from bench.records.parts import Failure, Monitoring
from export.child import Died, answer

LONGEST = 7
"""A scenario may take as many times what it takes about: a series ends after four times its least time at the most, and
eight trials of ``server`` may each take fifteen times as long."""
START_SECONDS = 120.0
"""What a child may take besides measuring: imports, loading a plan."""
GPU_BYTES = 64 << 20
"""A child that took more of the GPU's memory runs on it: what the driver keeps for a process alone is more."""


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
        monitors.append(Monitor(pid, job.pin))
        return monitors[-1]

    beside = metering(job)
    try:
        with beside:
            found = answer(["-m", "bench.measure.worker"], msgspec.json.encode(job), limit, watch)
    except Died as death:
        if death.code is None:
            return _failed("TimeoutExpired", f"The measurement did not end within {limit:.0f} s.", "")
        if death.signal:
            hint = " (often: out of memory)" if death.signal == "SIGKILL" else ""
            return _failed("ChildDied", f"The measuring process was ended by {death.signal}{hint}.", death.last)
        return _failed("ChildDied", f"The measuring process ended with code {death.code}.", death.last)
    outcome = msgspec.json.decode(found, type=Outcome)
    monitoring = {name: _seen(monitors[0], name, outcome) for name in outcome.series}
    return replace(outcome, monitoring=monitoring, energy=_energy(job, outcome, monitoring, beside))


def _seen(monitor: Monitor, name: str, outcome: Outcome) -> tuple[Monitoring, ...]:
    """The machine during each series of a scenario."""
    found = monitor.windows(outcome.series[name])
    return tuple(replace(one, throttled=False) for one in found) if scenario(name).heats else found


def metering(job: Job) -> Beside:
    """What reads energy beside the job; where no series is long enough, it reads nothing and says so."""
    return Beside.of(max(scenario(name).lasts(job.settings) for name in job.scenarios), job.meter)


def _energy(
    job: Job, outcome: Outcome, monitoring: Mapping[str, Sequence[Monitoring]], beside: Beside
) -> dict[str, Energy]:
    """Scenario → the energy of its series."""
    gpus = [window.gpu for windows in monitoring.values() for window in windows if window.gpu]
    on_gpu = any(gpu.memory_bytes >= GPU_BYTES for gpu in gpus)
    used: frozenset[Part] = frozenset(("processor", "GPU") if on_gpu else ("processor",))
    found = {}
    for name, series in outcome.series.items():
        images = scenario(name).metered([series], job.settings)
        found[name] = beside.energy(series, images, used)
    return found


def _failed(kind: str, what: str, why: str) -> Outcome:
    return Outcome(failure=Failure(kind, what, why))
