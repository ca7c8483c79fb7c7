"""From what was asked to the cells that answer it, each with its keys, before anything heavy is loaded.

Keys chain (onnx → plan → features → score; plan → timing) and can be told without building anything. So a sweep that
was finished, or killed half-way, knows at once what is left to do.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.measure.scenarios import Scenario, Settings, scenario
from bench.records.record import Cell, protocol_hash
from bench.sweep.features import feature_key
from bench.sweep.spec import SweepSpec
from engines.base import Availability, Engine, EngineSpec, Profile
from engines.catalog import BASELINE, engine
from engines.preprocess.catalog import identity, refusal
from engines.processor import cores
from export.artifact import Artifact
from export.errors import UserError
from export.lower.calibration import TRAIN, VAL, CalibrationSet
from export.lower.precision import artifact, artifact_key, precision_of
from export.progress import say
from export.spec import Precision
from export.store import Store, key
from export.zoo.backbones import Backbone, resolve
from tasks.base import Task
from tasks.catalog import TASKS, task
from tasks.data.base import DataSet

OUTPUT = "features"


@dataclass(frozen=True)
class Planned:
    """One cell of the sweep, resolved.

    Attributes:
        availability: whether its engine runs here, and this precision; if not, why.
        calibration: the photographs from which a lower precision is made; None where there is no data.
    """

    backbone: Backbone
    engine: Engine
    availability: Availability
    precision: Precision
    sweep: SweepSpec
    store: Store
    calibration: CalibrationSet | None = None

    @property
    def profile(self) -> Profile:
        return Profile(self.sweep.batches)

    @property
    def cell(self) -> Cell:
        return Cell(
            self.backbone.name,
            str(self.engine.spec),
            str(self.precision),
            self.sweep.preprocess,
            self.profile.batches,
            self.sweep.threads or cores(),
            self.backbone.untrained,
        )

    @property
    def settings(self) -> Settings:
        return Settings(self.sweep.seconds, index_size=self.sweep.index_size)

    @cached_property
    def throughput(self) -> Engine:
        """The same engine, serving one query on each thread: for features of a whole data set."""
        return engine(replace(self.engine.spec, streams=self.cell.threads))

    @cached_property
    def onnx_key(self) -> str:
        return artifact_key(self.backbone, self.store, precision=self.precision, calibration=self.calibration)

    def artifact(self) -> Artifact:
        """The cell's ONNX file, made if it is not there; raises what :func:`export.lower.precision.artifact` does."""
        return artifact(self.backbone, self.store, precision=self.precision, calibration=self.calibration)

    @cached_property
    def plan_key(self) -> str:
        return self.engine.plan_key(self.onnx_key, self.profile)

    @cached_property
    def preprocess(self) -> dict[str, Any]:
        return identity(self.sweep.preprocess)

    @property
    def unscored(self) -> str:
        """Why this cell is never scored; empty where it is."""
        if self.backbone.untrained:
            return "Untrained: random weights are timed, never scored."
        if not self.engine.computes:
            return "The baseline computes nothing: what it costs is the harness's own."
        return ""

    def owed(self, data: Sequence[DataSet]) -> list[tuple[DataSet, Task]]:
        """The scores that this cell owes: every task of the sweep on every data set of its own scope."""
        tasks = [task(name) for name in self.sweep.tasks]
        return [(images, scorer) for images in data for scorer in tasks if scorer.meta.scope == images.scope]

    def protocols(self, data: Sequence[DataSet], machine: str) -> set[str]:
        """The protocol hashes of everything that this cell owes."""
        scores = {self.score_protocol(images, scorer) for images, scorer in self.owed(data)}
        return scores | {self.timing_protocol(data[0], scenario(s), machine) for s in self.sweep.scenarios}

    def score_key(self, data: DataSet, scorer: Task) -> str:
        """Features, task and all its settings, seed."""
        return key("score", features=feature_key(self.plan_key, self.preprocess, data, OUTPUT), **self._task(scorer))

    def score_protocol(self, data: DataSet, scorer: Task) -> str:
        """What two scores must share to stand in one column: the data and the task, not the backbone or engine."""
        return protocol_hash("score", data=data.digest, **self._task(scorer))

    def timing_key(self, data: DataSet, timed: Scenario, machine: str) -> str:
        """Plan, preprocessing, images, scenario and machine."""
        how = {"seconds": self.sweep.seconds, "repeats": self.sweep.repeats}
        return key("timing", plan=self.plan_key, how=how, **self._timing(data, timed, machine))

    def timing_protocol(self, data: DataSet, timed: Scenario, machine: str) -> str:
        """What two timings must share: scenario, machine, threads, images, preprocessing path."""
        return protocol_hash("timing", **self._timing(data, timed, machine))

    def _task(self, scorer: Task) -> dict[str, Any]:
        meta = scorer.meta
        return {
            "task": meta.name,
            "version": meta.version,
            "settings": dict(meta.settings),
            "seed": self.sweep.seed,
        }

    def _timing(self, data: DataSet, timed: Scenario, machine: str) -> dict[str, Any]:
        return {
            "scenario": timed.name,
            "version": timed.version,
            "machine": machine,
            "threads": self.cell.threads,
            "data": data.digest,
            "preprocess": self.preprocess,
            "seed": self.sweep.seed,
            **timed.asks(self.settings),
        }


def expand(
    sweep: SweepSpec, store: Store, zoo_files: Sequence[Path] = (), weights: dict[str, Path] | None = None
) -> list[Planned]:
    """The sweep's cells, backbone by backbone, and one of an engine that does nothing: the harness's own
    cost. Every name is checked here, before anything runs.

    Raises:
        UserError: an unknown model, engine, precision, task, scenario or preprocessing path.
        Unavailable: none of the engines runs on this machine; the first one's reason is told. Or a scenario's library
            is missing.
    """
    weights = weights or {}
    _require_scopes(sweep)
    for name in sweep.scenarios:
        scenario(name).require()
    identity(sweep.preprocess)
    precisions = [precision_of(name) for name in sweep.precisions]
    for name in weights:
        if name not in sweep.models:
            raise UserError(f"--weights names {name!r}, which is not among the models.")
    backbones = [resolve(m, zoo_files=zoo_files, weights=weights.get(m)) for m in sweep.models]
    engines = [engine(EngineSpec.parse(text, sweep.threads)) for text in sweep.engines]
    available = [e.available() for e in engines]
    if not any(a.ok for a in available):
        engines[0].require()
    cells = [
        Planned(b, e, _fed(e, a, sweep.preprocess) if p in e.precisions else _refused(e), p, sweep, store)
        for b in _unique(backbones)
        for e, a in zip(engines, available, strict=True)
        for p in precisions
    ]
    if sweep.scenarios and all(c.engine.computes for c in cells):
        nothing = engine(EngineSpec(BASELINE, threads=sweep.threads))
        found = _fed(nothing, nothing.available(), sweep.preprocess)
        cells.append(replace(cells[0], engine=nothing, availability=found))
    return cells


def _require_scopes(sweep: SweepSpec) -> None:
    """Refuse tasks that no data set is for, and a data set that no task is for."""
    scopes = {name: task(name).meta.scope for name in sweep.tasks}
    lonely = [name for name, scope in scopes.items() if scope == "open"]
    if lonely and not sweep.outside:
        raise UserError(
            f"The task {lonely[0]} needs images that belong to none of the classes.",
            "The sweep names no such data set.",
            "--out-of-scope SET",
        )
    if sweep.outside and not lonely:
        known = ", ".join(name for name in TASKS if task(name).meta.scope == "open")
        raise UserError(
            "The sweep names images that are out of scope, and no task that looks at them.",
            f"Its tasks are {', '.join(sweep.tasks) or 'none'}.",
            f"--tasks {','.join([*sweep.tasks, known])}",
        )


def all_tasks(outside: bool) -> tuple[str, ...]:
    """The names of all tasks; without data of an open scope, those that need none."""
    return tuple(name for name in TASKS if outside or task(name).meta.scope == "closed")


def _unique(backbones: Sequence[Backbone]) -> Iterator[Backbone]:
    seen: set[str] = set()
    for backbone in backbones:
        if backbone.name not in seen:
            seen.add(backbone.name)
            yield backbone


def calibrated(cells: Sequence[Planned], data: DataSet) -> list[Planned]:
    """The cells with the photographs from which their lower precisions are made: a seeded draw from ``data``.

    Ranges come from its train split, choices and parity from val; test is never touched. Where nothing is val (a
    gallery and queries), part of the gallery is set apart for choices and parity: no range comes from it.

    Raises:
        UserError: a lower precision was asked for, and a split is too small.
    """
    if all(cell.precision is Precision.FP32 for cell in cells):
        return list(cells)
    draw = random.Random(cells[0].sweep.seed)
    train, val = (sorted(sample.id for sample in data.split(split)) for split in ("train", "val"))
    if not val:
        say(f"calibration: {data.name} has no val; choices and parity use a part of its gallery that is set apart")
        order = draw.sample(train, len(train))
        apart = min(VAL, len(order) // 2)
        train, val = sorted(order[apart:]), sorted(order[:apart])
    chosen = CalibrationSet(
        data.name,
        tuple(draw.sample(train, min(TRAIN, len(train)))),
        tuple(draw.sample(val, min(VAL, len(val)))),
        data.digest,
        data.read,
    )
    return [cell if cell.precision is Precision.FP32 else replace(cell, calibration=chosen) for cell in cells]


def _fed(engine: Engine, found: Availability, path: str) -> Availability:
    """``found``, unless the preprocessing path cannot feed the engine."""
    why = refusal(path, engine) if found.ok else ""
    return replace(found, ok=False, reason=why, remedy="--preprocess cpu") if why else found


def _refused(engine: Engine) -> Availability:
    return Availability(False, f"It runs {', '.join(sorted(engine.precisions))}.")
