"""A backbone as deployed, for a figure: its plan on an engine, and the preprocessing that feeds it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from bench.sweep.spec import read
from engines.base import Engine, EngineSpec, Plan, Profile, Session
from engines.catalog import engine
from engines.preprocess.base import Preprocess
from engines.preprocess.catalog import preprocess
from export.lower.calibration import CalibrationSet
from export.lower.precision import artifact
from export.spec import Precision
from export.store import Store
from export.zoo.backbones import Backbone, resolve


@dataclass(frozen=True)
class Deployed:
    """A plan that is built, its engine, and the demo's preprocessing for it."""

    engine: Engine
    plan: Plan
    path: Preprocess

    def load(self) -> Session:
        """A session; raises as :meth:`engines.base.Engine.load`."""
        return self.engine.load(self.plan)


def deployed(
    store: Store,
    backbone: str | Backbone,
    spec: EngineSpec,
    batches: tuple[int, ...],
    precision: Precision = Precision.FP32,
    calibration: CalibrationSet | None = None,
) -> Deployed:
    """Build what the store has not got.

    Raises:
        UserError: as :func:`export.lower.precision.artifact` and :meth:`engines.base.Engine.plan`.
    """
    found = resolve(backbone) if isinstance(backbone, str) else backbone
    made = artifact(found, store, precision=precision, calibration=calibration)
    runner = engine(spec)
    plan = runner.plan(made, Profile(batches), store)
    return Deployed(runner, plan, preprocess(read().preprocess, made.preprocess, store))


def on_each_engine(
    store: Store, backbone: str, batches: tuple[int, ...], streams: int = 1
) -> Iterator[tuple[str, Session, Preprocess]]:
    """The demo's engines by name, a session on each, open until the next is asked for, and what feeds it."""
    for name in read().engines:
        found = deployed(store, backbone, replace(EngineSpec.parse(name), streams=streams), batches)
        with found.load() as session:
            yield name, session, found.path
