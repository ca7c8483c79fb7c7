"""A plan of a foreign ONNX file, built and run once in a process of its own: it may crash a compiler, or never end.

What an engine's compiler makes of a graph that no exporter would write is not known before. The plan lies in the store
afterwards, where everybody finds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from engines.base import Engine, EngineSpec, Profile
from engines.catalog import engine
from export import child
from export.artifact import Artifact
from export.errors import UserError
from export.store import Store

BUILD_SECONDS = 1800
"""What building a plan, and running it once for each batch size, may take."""


@dataclass(frozen=True)
class Job:
    """What is built: the artifact of that key in a store, on that engine, for those batch sizes."""

    store: str
    onnx_key: str
    engine: EngineSpec
    batches: tuple[int, ...]
    seconds: int = BUILD_SECONDS


def prove(runner: Engine, artifact: Artifact, profile: Profile, store: Store) -> None:
    """Build the plan of a foreign file in a child process, where it is not there; of any other file, do nothing.

    Raises:
        UserError: as :meth:`engines.base.Engine.plan` and ``load``; and a CellError where the child crashed, was killed
            or did not end.
    """
    foreign = runner.computes and not artifact.source.get("request")
    if not foreign or store.try_load("plan", runner.plan_key(artifact.key, profile)):
        return
    job = Job(str(store.root), artifact.key, runner.spec, profile.batches)
    child.alone("engines.trial:work", msgspec.to_builtins(job), f"{artifact.backbone} on {runner.spec}")


def work(given: dict[str, Any]) -> None:
    """What the child does."""
    job = msgspec.convert(given, Job)
    child.deadline(job.seconds)
    store = Store(Path(job.store), verified=True)  # by whoever asked
    entry = store.try_load("onnx", job.onnx_key)
    if entry is None:
        raise UserError(
            "An entry of the store disappeared before its plan was built.", "", "run the same command again"
        )
    artifact = Artifact.of(entry)
    runner = engine(job.engine)
    plan = runner.plan(artifact, Profile(job.batches), store)
    shape = (artifact.preprocess.height, artifact.preprocess.width, 3)
    with runner.load(plan) as session:
        for batch in plan.profile.batches:
            session.run(np.zeros((batch, *shape), np.uint8))
