"""Timing the cells of a sweep: fresh child processes, repeats interleaved in random order over all cells.

A chip that one network has heated punishes the next; a neighbour who is busy for a minute spoils one repeat, not one
cell. So the first repeat of every cell comes before the second of any, in an order that is drawn anew each time. What
a child saw is kept at once, so that a sweep that was killed measures only what is missing.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import msgspec
from filelock import FileLock, Timeout

from bench.measure import queries
from bench.measure.runner import run as run_child
from bench.measure.scenarios import Scenario, scenario
from bench.measure.worker import Job, Outcome
from bench.records.record import Failure
from bench.sweep import gate
from bench.sweep.cells import Planned
from bench.sweep.desk import Desk, about, arithmetic, built, timing_record
from engines.base import Plan
from engines.preprocess.catalog import preprocess
from export.artifact import Artifact
from export.progress import say
from export.spec import Metric
from export.store import key, write_atomic
from tasks.data.base import DataSet


@dataclass(frozen=True)
class Timed:
    """One cell that is ready to be timed, and the scenarios that are still missing."""

    planned: Planned
    images: DataSet
    artifact: Artifact
    plan: Plan
    scenarios: tuple[Scenario, ...]
    job: Job
    parity: dict[str, Any]


def prepare(planned: Planned, images: DataSet, desk: Desk) -> list[Timed]:
    """Build everything that the cell's child processes will need; empty where every scenario is finished."""
    scenarios = tuple(
        s
        for s in map(scenario, planned.sweep.scenarios)
        if not desk.finished(planned.timing_key(images, s, desk.machine))
    )
    scenarios = tuple(sorted(scenarios, key=lambda s: not s.alone))  # the peak of memory never falls again
    if not scenarios:
        return []
    store, sweep = planned.store, planned.sweep
    artifact = planned.artifact()
    plan = planned.engine.plan(artifact, planned.profile, store)
    parity = gate.check(planned, artifact, plan)
    path = preprocess(sweep.preprocess, artifact.preprocess, store)
    rotation = queries.prepare(images, artifact.preprocess, path, sweep.seed, store)
    job = Job(
        store=str(store.root),
        engine=planned.engine.spec.name,
        provider=planned.engine.spec.provider,
        threads=sweep.threads,
        onnx_key=artifact.key,
        batches=planned.profile.batches,
        preprocess=sweep.preprocess,
        queries_key=rotation.key,
        scenarios=tuple(s.name for s in scenarios),
        settings=planned.settings,
    )
    return [Timed(planned, images, artifact, plan, scenarios, job, parity)]


def run(cells: Sequence[Timed], desk: Desk) -> bool:
    """Measure every cell in ``repeats`` child processes, and write the records; whether none failed."""
    if not cells:
        return True
    repeats = cells[0].planned.sweep.repeats
    total, done, good = repeats * len(cells), 0, True
    say(f"timing {len(cells)} cells, {repeats} repeats each, in random order")
    failed: set[int] = set()
    for repeat in range(repeats):
        order = list(range(len(cells)))
        random.Random(f"{cells[0].planned.sweep.seed}/{repeat}").shuffle(order)
        for index in order:
            done += 1
            if index in failed:
                continue
            timed = cells[index]
            outcome = _outcome(timed, repeat, desk)
            if outcome.failure:
                failed.add(index)
                say(f"[{done}/{total}] {timed.planned.cell} failed: {outcome.failure[1]}")
                _keep_failure(timed, outcome, desk)
                good = False
                continue
            say(f"[{done}/{total}] {timed.planned.cell}: {_headline(timed, outcome)}")
            if repeat == repeats - 1:
                _keep(timed, desk)
    return good


def _part(timed: Timed, repeat: int, desk: Desk) -> Any:
    of = [timed.planned.timing_key(timed.images, s, desk.machine) for s in timed.scenarios]
    return desk.folder / "parts" / f"{key('part', of=of, repeat=repeat)}.json"


def _outcome(timed: Timed, repeat: int, desk: Desk) -> Outcome:
    path = _part(timed, repeat, desk)
    if path.exists() and not desk.fresh:
        try:
            return msgspec.json.decode(path.read_bytes(), type=Outcome)
        except msgspec.DecodeError:
            path.unlink()
    # two sweeps on one machine may share a store, but not the clock: each would be the other's noisy neighbour
    lock = FileLock(timed.planned.store.root / "timing.lock")
    try:
        lock.acquire(timeout=1)
    except Timeout:
        say("waiting for another sweep that measures on this machine …")
        lock.acquire()
    try:
        outcome = run_child(timed.job)
    finally:
        lock.release()
    if not outcome.failure:
        write_atomic(path, msgspec.json.encode(outcome))
    return outcome


def _headline(timed: Timed, outcome: Outcome) -> str:
    found = []
    for one in timed.scenarios:
        main = one.metrics({name: s.samples for name, s in outcome.series[one.name].items()})[0]
        found.append(f"{one.name} {main.value:.2f} {main.unit}" if main.value is not None else one.name)
    return ", ".join(found)


def _keep(timed: Timed, desk: Desk) -> None:
    paths = [_part(timed, r, desk) for r in range(timed.planned.sweep.repeats)]
    outcomes = [msgspec.json.decode(p.read_bytes(), type=Outcome) for p in paths]
    for one in timed.scenarios:
        runs = [o.series[one.name] for o in outcomes]
        whole = {name: [v for r in runs for v in r[name].samples] for name in runs[0]}
        record = timing_record(timed.planned, timed.images, one, desk.machine)
        record = replace(
            record,
            key=timed.planned.timing_key(timed.images, one, desk.machine),
            metrics=(*one.metrics(whole), *_costs(timed, one, outcomes), _repeat_spread(one, runs)),
            keys=built(timed.planned, timed.plan),
            backbone=about(timed.planned, timed.artifact),
            samples={f"{name}/{i}": r[name].samples for i, r in enumerate(runs) for name in r},
            detail={
                "parity": timed.parity,
                **arithmetic(timed.plan),
                "placement": outcomes[0].placement,
                "monitor": [o.monitor for o in outcomes],
                "images_in_rotation": min(queries.COUNT, len(timed.images.samples)),
                "settled": all(s.settled for r in runs for s in r.values()),
                "warm_up": [len(s.warm_up) for r in runs for s in r.values()],
            },
            seconds=sum(sum(s.samples) for r in runs for s in r.values()) / 1e9,
        )
        desk.keep(record)
    for path in paths:
        path.unlink()


def _costs(timed: Timed, one: Scenario, outcomes: Sequence[Outcome]) -> list[Metric]:
    """First run, load time, memory and sizes: medians over the repeats, one sample a child."""
    n = len(outcomes)
    first = median(next(iter(o.series[one.name].values())).first for o in outcomes)
    peak = max(o.peak_memory_bytes[one.name] for o in outcomes)
    costs = one.sizes(timed.artifact.outputs[0].shape[-1], timed.job.settings)
    if one.alone:
        costs.append(Metric.cost("peak_memory_mib", peak / 2**20, "MiB", n))
    on_device = [m["gpu"]["memory_bytes"] for m in (o.monitor for o in outcomes) if m.get("gpu")]
    if on_device:  # of the whole child, all scenarios
        costs.append(Metric.cost("device_memory_mib", max(on_device) / 2**20, "MiB", len(on_device)))
    if one.name == timed.job.scenarios[0]:  # the session is cold only in the first scenario of a child
        costs.append(Metric.cost("first_run_ms", first / 1e6, "ms", n))
    return [
        *costs,
        Metric.cost("load_ms", median(o.load_ns for o in outcomes) / 1e6, "ms", n),
        Metric.cost("onnx_mib", timed.artifact.onnx_bytes / 2**20, "MiB"),
        Metric.cost("plan_mib", timed.plan.plan_bytes / 2**20, "MiB"),
    ]


def _repeat_spread(one: Scenario, runs: Sequence[dict[str, Any]]) -> Metric:
    """(largest − smallest) / median of the main metric over the repeats, in percent."""
    mains = [one.metrics({name: s.samples for name, s in r.items()})[0].value or 0.0 for r in runs]
    spread = 100 * (max(mains) - min(mains)) / median(mains)
    return Metric.cost("repeat_spread_percent", spread, "%", len(runs))


def _keep_failure(timed: Timed, outcome: Outcome, desk: Desk) -> None:
    assert outcome.failure is not None
    for one in timed.scenarios:
        record = timing_record(timed.planned, timed.images, one, desk.machine)
        desk.keep(replace(record, status="failed", failure=Failure(*outcome.failure)))
