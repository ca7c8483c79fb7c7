"""What one child process on the board does for one network: its plan, its parity, and all that it emits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from bench.boards import ready
from bench.boards.kit import Network, Shown
from bench.boards.results import Built
from bench.sweep import gate
from bench.sweep.features import extract
from bench.sweep.keys import feature_key
from engines.base import Engine, Plan
from engines.catalog import engine
from engines.processor import granted
from export.artifact import Artifact
from export.errors import UserError
from export.progress import counting, say
from export.store import Entry, Store


@dataclass(frozen=True)
class Errand:
    """One network of a kit whose files lie in ``store``; ``pixels_by`` goes into the keys of what it emits.

    It runs on all cores, and says how many threads there are once it is timed on those of ``pin``.
    """

    store: str
    network: Network
    pixels_by: dict[str, Any]
    pin: tuple[int, ...] = ()


def work(job: dict[str, Any]) -> dict[str, Any]:
    """Build, compare, extract: the :class:`Built`, or ``{"skipped": [reason, remedy]}`` where the engine is not there.

    Raises:
        CellError: the plan cannot be built, or what it emits is not finite. OutOfSpace: the disk is full.
    """
    errand = msgspec.convert(job, Errand)
    network, store = errand.network, Store(Path(errand.store))
    runner = engine(network.spec)
    here = runner.available()
    if not here.ok:
        return {"skipped": [here.reason, here.remedy]}
    artifact = Artifact.of(stored(store, "onnx", network.onnx_key))
    plan = runner.plan(artifact, network.profile, store)
    if (parity := gate.check(runner, plan, store)) and not parity.passed:
        say(f"  fails parity: cosine {parity.cosine_min:.6g}")
    many = engine(replace(runner.spec, streams=runner.spec.thread_count))
    emitted = {shown.of: _emitted(many, plan, shown, errand, store) for shown in network.shown}
    threads = granted(network.threads, errand.pin) or runner.spec.thread_count
    built = Built(plan.key, plan.content, plan.plan_bytes, dict(plan.fields), threads, emitted)
    found: dict[str, Any] = msgspec.to_builtins(built)
    return found


def stored(store: Store, kind: str, key: str) -> Entry:
    """What the kit brought.

    Raises:
        UserError: it is not there, or not what was packed.
    """
    entry = store.try_load(kind, key)
    if entry is None:
        raise UserError(f"The kit's {kind} {key[:8]} is missing or damaged.", "", "copy the kit again")
    return entry


def _emitted(runner: Engine, plan: Plan, shown: Shown, errand: Errand, store: Store) -> dict[str, str]:
    """Extract every output for these images; their feature keys."""
    outputs = errand.network.outputs
    own = {name: feature_key(plan.key, errand.pixels_by, shown.of, name) for name in outputs}
    images = ready.dataset(stored(store, ready.KIND, shown.pixels_key), shown.name, shown.of)
    path = ready.Ready(plan.artifact.preprocess, store)
    with counting(f"  {shown.name}", shown.count) as advance:
        extract(lambda: runner.load(plan), own, path, images, store, advance)
    return own
