"""The pre-flight: which architectures parse and build, in which precision, for which GPUs. It needs no GPU.

Weights do not matter to a builder, so architectures are checked, with random weights (:mod:`engines.checking`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from engines.architectures import Architecture
from engines.checking import ENDED, Job, State, in_child, kept
from engines.trt.flavour import Flavour
from export.lower.precision import artifact_key
from export.spec import Precision
from export.store import Store, key

BATCH = 1
SHELF = "preflight"


@dataclass(frozen=True)
class Conditions:
    """What all checks of a call share.

    Attributes:
        flavour: the library. targets: compute capabilities, as "8.6". store: where drafts are made and results kept.
        seconds, memory_bytes: the most that one check may take; past it the check has failed.
    """

    flavour: Flavour
    targets: tuple[str, ...]
    store: Store
    seconds: float
    memory_bytes: int


@dataclass(frozen=True)
class Row:
    """What was found of one architecture in one precision.

    Attributes:
        status: "ok", "partly" (builds for some targets) or "failed".
        parses: whether the library read the file. targets: those that it builds for. failures: target → why not
            (empty text: everything) → the library's own reason, with the node.
        seconds: of the builds. plan_mib: of the plan for all its targets together.
    """

    architecture: str
    input: str
    rows: tuple[str, ...]
    precision: str
    status: str
    parses: bool = False
    targets: tuple[str, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    plan_mib: float = 0.0
    layers: int = 0

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "rows": list(self.rows), "targets": list(self.targets)}


def check(
    asked: Sequence[Architecture], precisions: Sequence[Precision], shared: Conditions, fresh: bool = False
) -> Iterator[tuple[Row, bool]]:
    """One row an architecture and precision, and whether it was known already. Says on stderr what it does.

    Raises:
        UserError, KeyboardInterrupt: as :func:`engines.checking.kept`.
    """
    jobs = [
        Job(architecture, precision, _key(architecture, precision, shared))
        for architecture in asked
        for precision in precisions
    ]

    def one(job: Job, passing: Store) -> State:
        return checked(_job(job.architecture, job.precision, shared, passing), shared.seconds)

    for job, state, known in kept(SHELF, jobs, shared.store, one, fresh):
        yield _row(job.architecture, job.precision, state, shared.targets), known


def _key(architecture: Architecture, precision: Precision, shared: Conditions) -> str:
    return key(
        SHELF,
        onnx=artifact_key(architecture.backbone, shared.store, precision=precision),
        flavour=shared.flavour.engine,
        version=shared.flavour.installed(),
        targets=sorted(shared.targets),
        batch=BATCH,
    )


def _job(architecture: Architecture, precision: Precision, shared: Conditions, passing: Store) -> dict[str, Any]:
    return {
        "backbone": architecture.backbone.as_json(),
        "precision": str(precision),
        "flavour": shared.flavour.engine,
        "targets": list(shared.targets),
        "batch": BATCH,
        "store": str(passing.root),
        "memory_bytes": shared.memory_bytes,
    }


def checked(job: Mapping[str, Any], seconds: float) -> State:
    """Export in one process and build in another: an export leaves several times the network behind in memory."""
    worker = "engines.trt.check_worker"
    state = in_child(worker, {**job, "stage": "export"}, seconds)
    return state if state["doing"] != ENDED else in_child(worker, {**job, "stage": "build"}, seconds)


def _row(architecture: Architecture, precision: Precision, state: Mapping[str, Any], targets: Sequence[str]) -> Row:
    built = tuple(name for name in targets if name in state.get("built", []))
    failures = dict(state.get("failures", {}))
    if state.get("unavailable"):
        failures = dict.fromkeys(targets, state["unavailable"])
    if state.get("died"):
        failures |= {name: state["died"] for name in targets if name not in built and name not in failures}
    status = "ok" if len(built) == len(targets) else "partly" if built else "failed"
    return Row(
        architecture.name,
        architecture.input,
        architecture.rows,
        str(precision),
        status,
        bool(state.get("parsed")),
        built,
        failures,
        round(float(state.get("seconds", 0.0)), 1),
        round(float(state.get("plan_bytes", 0)) / 2**20, 1),
        int(state.get("layers", 0)),
    )
