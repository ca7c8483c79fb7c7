"""The child process of one measured cell: one session, its scenarios, and nothing else in its memory.

``python -m bench.measure.worker JOB RESULT`` reads a job (JSON), measures, and writes what it saw (JSON). It imports no
torch unless the engine does, so that its peak memory is the engine's own.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from bench.measure.clock import Series
from bench.measure.scenarios.base import Settings, Setup
from bench.measure.scenarios.catalog import scenario
from bench.records.energy import Energy
from bench.records.parts import Failure, Monitoring
from export.errors import UserError


@dataclass(frozen=True)
class Job:
    """One cell to measure: everything is named by key in the store, so that the child builds nothing.

    Attributes:
        threads: of one inference; 0 stands for all cores that the child may use.
        repeats: of the scenarios that are not measured once.
        meter: a wall meter's file, which the child's parent reads; empty where there is none.
        pin: the numbers of the cores that it runs on; by default wherever the system puts it.
    """

    store: str
    engine: str
    provider: str
    threads: int
    onnx_key: str
    batches: tuple[int, ...]
    preprocess: str
    queries_key: str
    scenarios: tuple[str, ...]
    settings: Settings
    repeats: int = 1
    meter: str = ""
    pin: tuple[int, ...] = ()
    plan_key: str = ""

    @property
    def turns(self) -> tuple[Job, ...]:
        """What each child process measures: the scenarios together, as often as they are repeated; then each of those
        that are measured once."""
        once = [name for name in self.scenarios if scenario(name).once]
        repeated = tuple(name for name in self.scenarios if name not in once)
        parts = [repeated] * self.repeats if repeated else []
        return tuple(replace(self, scenarios=names) for names in (*parts, *((name,) for name in once)))

    @property
    def entries(self) -> tuple[tuple[str, str], ...]:
        """Kind and key of what it needs of the store."""
        return ("onnx", self.onnx_key), ("plan", self.plan_key), ("queries", self.queries_key)

    @property
    def takes(self) -> float:
        """Seconds that its scenarios take together, about."""
        return sum(scenario(name).takes(self.settings) for name in self.scenarios)


@dataclass(frozen=True)
class Outcome:
    """What the child saw: for each scenario its series and the process's peak memory up to its end.

    ``failure`` says why where it could not measure. Whoever watched it adds, by scenario, ``monitoring`` (the machine
    during each series) and ``energy``; and ``attempts``, how often it was measured until it was this undisturbed.
    ``node`` names the machine of a cluster that it was measured on.
    """

    series: dict[str, dict[str, Series]] = field(default_factory=dict)
    peak_memory_bytes: dict[str, int] = field(default_factory=dict)
    load_ns: int = 0
    placement: dict[str, Any] = field(default_factory=dict)
    failure: Failure | None = None
    monitoring: dict[str, tuple[Monitoring, ...]] = field(default_factory=dict)
    energy: dict[str, Energy] = field(default_factory=dict)
    attempts: int = 1
    node: str = ""

    @property
    def disturbance(self) -> tuple[int, float]:
        """How much came between: how many series were throttled; and the largest share of its cores that any lost to
        other processes and to the hypervisor. Nothing of what was measured plays a part."""
        windows = [one for scenario in self.monitoring.values() for one in scenario]
        lost = max((one.foreign_share + one.stolen_share for one in windows), default=0.0)
        return sum(one.throttled for one in windows), lost

    @property
    def seconds(self) -> float:
        """From the beginning of the first series to the end of the last."""
        series = [one for scenario in self.series.values() for one in scenario.values()]
        begin, end = min((s.begin_ns for s in series), default=0), max((s.end_ns for s in series), default=0)
        return (end - begin) / 1e9

    @property
    def doubtful(self) -> bool:
        """Whether some series was throttled or disturbed."""
        return any(one.doubtful for scenario in self.monitoring.values() for one in scenario)


def work(job: Job) -> Outcome:
    """Load the plan, measure, and close."""
    from bench.measure import audit, queries
    from engines.base import EngineSpec, Profile
    from engines.catalog import engine
    from engines.preprocess.catalog import preprocess
    from engines.processor import pin
    from export.artifact import Artifact
    from export.store import Store

    if job.pin:  # before an engine starts its threads, which stay where they were started
        pin(job.pin)
    store = Store(Path(job.store), verified=True)  # by whoever prepared the job
    artifact_entry = store.try_load("onnx", job.onnx_key)
    queries_entry = store.try_load("queries", job.queries_key)
    if artifact_entry is None or queries_entry is None:
        raise UserError("An entry of the store disappeared before the measurement.", "", "run the same command again")
    artifact = Artifact.of(artifact_entry)
    images = queries.load(queries_entry)
    runner = engine(EngineSpec(job.engine, job.provider, job.threads))
    plan = runner.plan(artifact, Profile(job.batches), store)
    path = preprocess(job.preprocess, artifact.preprocess, store)
    start = time.perf_counter_ns()
    with runner.load(plan) as session:
        load_ns = time.perf_counter_ns() - start
        series, peak = {}, {}
        setup = Setup(session, images, job.settings, path)
        for name in job.scenarios:
            series[name] = scenario(name).run(setup)
            peak[name] = peak_memory_bytes()
        if runner.computes:
            audit.require_computed(session, images)
        return Outcome(series, peak, load_ns, msgspec.to_builtins(session.placement()))


def peak_memory_bytes() -> int:
    """This process's own peak resident memory.

    Linux carries ``ru_maxrss`` over from the parent through exec, so VmHWM is read where there is one.
    """
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def main() -> int:
    """Read the job named by the first argument, write its outcome to the second."""
    job_file, result_file = map(Path, sys.argv[1:3])
    try:
        outcome = work(msgspec.json.decode(job_file.read_bytes(), type=Job))
    except Exception as error:
        outcome = Outcome(failure=Failure.of(error))
    result_file.write_bytes(msgspec.json.encode(outcome))
    return 0


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # the outcome is written and the session closed: taking down the interpreter takes 0.3 s
