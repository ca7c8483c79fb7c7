"""From what was asked to the cells that answer it, each with its keys, before anything heavy is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from bench.measure.scenarios.base import Scenario, Settings
from bench.measure.scenarios.catalog import scenario
from bench.measure.slo import Slo
from bench.records.parts import About, Cell, Keys
from bench.sweep import keys
from bench.sweep.spec import SweepSpec
from engines import trial
from engines.base import Availability, Engine, Plan, Profile
from engines.catalog import REFERENCE, engine
from engines.preprocess.base import Preprocess
from engines.preprocess.catalog import identity, preprocess
from export.artifact import Artifact
from export.convert.foreign import users_file
from export.convert.joining import joined_key
from export.convert.outputs import SCALES
from export.errors import CellError, UserError
from export.lower.calibration import CalibrationSet
from export.lower.precision import artifact, artifact_key, lowered_key
from export.spec import Precision
from export.store import Store
from export.zoo import weights
from export.zoo.backbones import Backbone
from tasks.base import FEATURES, MAPS, Task
from tasks.catalog import task
from tasks.data.base import DataSet
from tasks.data.targets import SERVES


@dataclass(frozen=True)
class Planned:
    """One cell of the sweep, resolved.

    Attributes:
        availability: whether its engine runs here, and this precision; if not, why.
        calibration: the photographs from which a lower precision is made; None where there is no data.
        finished: the precision is that of a finished ONNX file, which is taken as it is.
        trouble: what is wrong with the backbone's file, where that is known already; raised once its key is asked for.
        first: the sweep's first engine that runs here: heads that are deployed are fitted on what it emits.
    """

    backbone: Backbone
    engine: Engine
    availability: Availability
    precision: Precision
    sweep: SweepSpec
    store: Store
    calibration: CalibrationSet | None = None
    finished: bool = False
    trouble: UserError | None = None
    first: Engine | None = None

    @property
    def profile(self) -> Profile:
        return Profile(self.sweep.batches)

    @cached_property
    def cell(self) -> Cell:
        return Cell(
            self.backbone.name,
            str(self.engine.spec),
            str(self.precision),
            self.sweep.preprocess,
            self.profile.batches,
            self.engine.spec.thread_count,
            self.backbone.untrained,
            self.engine.name == REFERENCE
            and self.engine.spec.provider == self.engine.providers[0]
            and self.precision is Precision.FP32,
            weights.identity(self.backbone),
            self.backbone.size,
            self.backbone.resize,
            self.backbone.depth,
        )

    @property
    def settings(self) -> Settings:
        asked = self.sweep
        return Settings(
            asked.seconds,
            index_size=asked.index_size,
            slo=Slo.parse(asked.slo),
            queue_ms=asked.queue_ms,
            bundle=asked.bundle,
            fps=asked.fps,
            soak_seconds=asked.soak_seconds,
            seed=asked.seed,
        )

    @property
    def tasks(self) -> list[Task]:
        return [task(name) for name in self.sweep.tasks]

    @cached_property
    def taps(self) -> tuple[str, ...]:
        """What the file has to give beside its pooled features, because some task reads it."""
        read = [output for scorer in self.tasks for output in scorer.meta.outputs if output != FEATURES]
        named = [self.sweep.taps or (SCALES,) if output == MAPS else (output,) for output in read]
        return tuple(dict.fromkeys(tap for taps in named for tap in taps))

    @cached_property
    def origin(self) -> Planned:
        """The cell on whose outputs a deployed head is fitted: in fp32, on the sweep's first engine.

        There is one head for a backbone, then, whatever it is lowered to and compiled for: backbone and head as one
        network. Engines in fp32 agree to five digits, which parity checks.
        """
        if self.finished:
            return self
        return replace(self, precision=Precision.FP32, engine=self.first or self.engine)

    @cached_property
    def throughput(self) -> Engine:
        """The same engine, serving one query on each thread: for features of a whole data set."""
        return engine(replace(self.engine.spec, streams=self.cell.threads))

    @property
    def made(self) -> Precision:
        """The precision that is made of the backbone: fp32 stands for its file as it is."""
        return Precision.FP32 if self.finished else self.precision

    @cached_property
    def onnx_key(self) -> str:
        if self.trouble:
            raise self.trouble
        return artifact_key(
            self.backbone, self.store, precision=self.made, taps=self.taps, calibration=self.calibration
        )

    def artifact(self) -> Artifact:
        """The cell's ONNX file, made if it is not there; raises what :func:`export.lower.precision.artifact` does.

        Raises:
            CellError: a published ONNX file is of another precision than the cell is said to be.
        """
        if self.trouble:
            raise self.trouble
        found = artifact(self.backbone, self.store, precision=self.made, taps=self.taps, calibration=self.calibration)
        if found.precision is not self.precision:
            raise CellError(
                f"The file of {self.backbone.name!r} is {found.precision}, not {self.precision}.",
                "It lies in a package, and could not be read when the sweep was planned.",
                "give the file itself (FILE.onnx)",
            )
        return found

    def plan(self, runner: Engine | None = None) -> Plan:
        """The cell's plan, built if it is not there, for its engine or for :attr:`throughput`: the same file."""
        found = self.artifact()
        if users_file(self.backbone):  # what a package publishes is known to compile
            trial.prove(runner or self.engine, found, self.profile, self.store)
        return (runner or self.engine).plan(found, self.profile, self.store)

    def path(self, file: Artifact) -> Preprocess:
        """The preprocessing path, set up for the file's input."""
        return preprocess(self.sweep.preprocess, file.preprocess, self.store)

    @cached_property
    def plan_key(self) -> str:
        return self.engine.plan_key(self.onnx_key, self.profile)

    @cached_property
    def preprocess(self) -> dict[str, Any]:
        return identity(self.sweep.preprocess)

    def unscored(self, scorer: Task) -> str:
        """Why this cell is never scored by a task; empty where it is."""
        if self.backbone.untrained and not scorer.meta.control:
            return "Untrained: random weights are timed, never scored."
        if not self.engine.computes:
            return "The baseline computes nothing: what it costs is the harness's own."
        return ""

    @property
    def scored(self) -> bool:
        """Whether some task of the sweep scores it."""
        return any(not self.unscored(scorer) for scorer in self.tasks)

    def owed(self, data: Sequence[DataSet]) -> list[tuple[DataSet, Task]]:
        """The scores that this cell owes: every task of the sweep on every data set of its own scope and kind."""
        return [(images, scorer) for images in data for scorer in self.tasks if suits(scorer, images)]

    def deployed(self, data: Sequence[DataSet]) -> list[tuple[DataSet, Task]]:
        """The heads that are timed with this cell: of the tasks on the first data set."""
        return [
            (images, scorer)
            for images, scorer in self.owed(data[:1])
            if scorer.meta.head == "deployed" and not self.unscored(scorer)
        ]

    def timed(self, data: Sequence[DataSet]) -> list[tuple[Scenario, Task | None]]:
        """What is timed: every scenario of the backbone alone, and of it with each deployed head."""
        heads = (None, *(scorer for _, scorer in self.deployed(data)))
        return [(timed, head) for head in heads for timed in self.scenarios if not (head and timed.of_features)]

    @property
    def scenarios(self) -> list[Scenario]:
        return [scenario(name) for name in self.sweep.scenarios]

    def protocols(self, data: Sequence[DataSet], machine: str) -> set[str]:
        """The protocol hashes of everything that this cell owes."""
        scores = {self.score_protocol(images, scorer) for images, scorer in self.owed(data)}
        return scores | {self.timing_protocol(data[0], timed, machine, head) for timed, head in self.timed(data)}

    def feature_keys(self, images: DataSet, outputs: Sequence[str]) -> list[str]:
        """Of the outputs for every source of ``images``."""
        return [
            keys.feature_key(self.plan_key, self.preprocess, source.digest, output)
            for source in images.sources
            for output in outputs
        ]

    def fit_key(self, images: DataSet, scorer: Task) -> str:
        """Of the fit on train and val. Both lie in the first source of ``images``; the test set plays no part."""
        outputs = scorer.meta.outputs
        fitted_on = self.origin if scorer.meta.head == "deployed" else self
        learned = fitted_on.feature_keys(images, outputs)[: len(outputs)]
        return keys.fit_key(learned, images.learning, scorer.meta.fitted_as, self.sweep.seed)

    def head_key(self, images: DataSet, scorer: Task) -> str:
        """Of the head that is joined to the backbone: its fit, and what it ends in."""
        return keys.head_key(self.fit_key(images, scorer), self.sweep.class_map)

    def joint_onnx_key(self, images: DataSet, scorer: Task) -> str:
        """Of the file of backbone and head, in this cell's precision."""
        joint = joined_key(self.origin.onnx_key, self.head_key(images, scorer))
        if self.made is Precision.FP32:
            return joint
        return lowered_key(joint, self.precision, self.calibration, self.store)

    def joint_plan_key(self, images: DataSet, scorer: Task) -> str:
        """Of the plan of backbone and head."""
        return self.engine.plan_key(self.joint_onnx_key(images, scorer), self.profile)

    def score_key(self, images: DataSet, scorer: Task) -> str:
        """The fit, what test is judged on, the task and all its settings."""
        return keys.score_key(
            self.fit_key(images, scorer), self.judged_keys(images, scorer), images.digest, scorer.meta
        )

    def judged_keys(self, images: DataSet, scorer: Task) -> list[str]:
        """Of what a score is judged on: the cell's outputs, or what backbone and head give together."""
        if scorer.meta.head != "deployed":
            return self.feature_keys(images, scorer.meta.outputs)
        plan = self.joint_plan_key(images, scorer)
        return [keys.feature_key(plan, self.preprocess, source.digest, "head") for source in images.sources]

    def score_protocol(self, images: DataSet, scorer: Task) -> str:
        """What two scores must share to stand in one column."""
        return keys.score_protocol(images.digest, scorer.meta, self.sweep.seed)

    def timing_key(self, images: DataSet, timed: Scenario, machine: str, head: Task | None = None) -> str:
        """Plan (of backbone and ``head``, where that is given), preprocessing, images, scenario and machine."""
        how = {"seconds": self.sweep.seconds, "repeats": self.sweep.repeats}
        if self.sweep.meter:  # what was timed without it has no energy
            how["metered"] = True
        plan = self.joint_plan_key(images, head) if head else self.plan_key
        return keys.timing_key(plan, how, self._timing(images, timed, machine, head))

    def timing_protocol(self, images: DataSet, timed: Scenario, machine: str, head: Task | None = None) -> str:
        """What two timings must share to stand in one column."""
        return keys.timing_protocol(self._timing(images, timed, machine, head))

    def _timing(self, images: DataSet, timed: Scenario, machine: str, head: Task | None) -> dict[str, Any]:
        own = {"head": [head.meta.name, head.meta.version, self.sweep.class_map]} if head else {}
        return {
            **own,
            "scenario": timed.name,
            "version": timed.version,
            "machine": machine,
            "threads": self.cell.threads,
            "data": images.digest,
            "preprocess": self.preprocess,
            "seed": self.sweep.seed,
            **({"pin": list(self.sweep.pin)} if self.sweep.pin else {}),
            **timed.asks(self.settings),
        }

    def about(self, made: Artifact | None = None) -> About:
        """What a reader wants to know of the backbone, and of its artifact once there is one."""
        b = self.backbone
        zoo = About(b.family, b.pretrain_algo, b.pretrain_data, b.licence, b.feature)
        if made is None:
            return zoo
        return replace(
            zoo,
            parameters=made.parameters,
            gmacs=made.gmacs,
            input=(made.preprocess.height, made.preprocess.width),
            preprocess=made.preprocess.as_json(),
            dim=made.outputs[0].shape[-1] if len(made.outputs[0].shape) == 1 else None,
            source=dict(made.source),
        )

    def keys(self, plan: Plan) -> Keys:
        """The chain behind a result; ``plan``: what ran, whether the backbone's own or with a head."""
        return Keys(self.onnx_key, self.plan_key, plan_content=plan.content)


def suits(scorer: Task, images: DataSet) -> bool:
    """Whether a task can be scored on a data set: of its scope, and of its kind."""
    return scorer.meta.scope == images.scope and scorer.meta.kind in SERVES[images.kind]
