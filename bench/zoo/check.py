"""Which networks of the zoo export and pass parity, on which engines: one row a network and precision.

Weights do not matter to that: they are random, and rows of the zoo that share a network share a result. Export and
each engine are child processes (:mod:`bench.zoo.worker`), one after the other, so that one network is in memory once.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from engines.architectures import Architecture
from engines.base import Engine
from engines.checking import ENDED, Job, State, in_child, kept
from export.convert.photographs import PACKAGE, photographs
from export.errors import Unavailable
from export.lower.precision import artifact_key
from export.spec import Precision
from export.store import Store, key
from export.zoo.sources import TimmModel
from export.zoo.unloaded import parameters

SHELF = "zoo-check"
WORKER = "bench.zoo.worker"
VERSION = 1
"""Raised whenever the check would find something else of the same network."""
PHOTOGRAPHS = 5
"""Of the twenty on which an export is judged: one full batch of those that it is compared in."""
FILE = "file"
"""What the exported file itself is called where engines are named: ONNX Runtime against eager PyTorch."""

FIXED_GIB, COPIES = 1.0, 6.0
"""Memory that an export needs: GIB for Python, its libraries and activations, and COPIES of the fp32 weights."""

Status = Literal["passed", "failed", "too large", "unavailable"]


@dataclass(frozen=True)
class Conditions:
    """What all checks of a call share.

    Attributes:
        engines: those that have to pass. store: where results are kept.
        seconds, memory_bytes: the most that one child process may take.
    """

    engines: tuple[Engine, ...]
    store: Store
    seconds: float
    memory_bytes: int


@dataclass(frozen=True)
class Row:
    """What was found of one network in one precision.

    Attributes:
        kind: what the network is a size of. rows: the rows of the zoo that share it.
        status: "too large" needs more memory than there may be, and was not tried.
        why: the reason, of every status but "passed".
        need_gib: memory that was estimated before it was tried; None where the number of weights is not known before.
        seconds: of everything, the export among it (``export_seconds``). peak_gib: of the largest child process.
        parity: "file" and each engine → ``cosine_min``, ``relative_error``, ``passed``, and of which ``output``.
    """

    architecture: str
    kind: str
    input: str
    rows: tuple[str, ...]
    precision: str
    status: Status
    why: str = ""
    parameters_m: float | None = None
    need_gib: float | None = None
    seconds: float = 0.0
    export_seconds: float = 0.0
    peak_gib: float = 0.0
    onnx_mib: float = 0.0
    parity: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def need_gib(weights: int) -> float:
    """Memory that the export of a network with so many weights is expected to need, in GiB."""
    return FIXED_GIB + COPIES * 4 * weights / 2**30


def too_large(weights: int, memory_bytes: int) -> str:
    """Why a network with so many weights is not tried with so much memory; empty where it is."""
    need = need_gib(weights)
    return f"needs about {need:.0f} GiB of memory" if need * 2**30 > memory_bytes else ""


def sample(asked: Sequence[Architecture]) -> list[Architecture]:
    """The smallest network of each kind, in the order of ``asked``."""
    least: dict[str, tuple[int, Architecture]] = {}
    for one in asked:
        weights = _weights(one) or 0
        if one.kind not in least or weights < least[one.kind][0]:
            least[one.kind] = weights, one
    return [one for one in asked if one is least[one.kind][1]]


def check(
    asked: Sequence[tuple[Architecture, Precision]], shared: Conditions, fresh: bool = False
) -> Iterator[tuple[Row, bool]]:
    """One row a network and precision, and whether it was known already; small networks first. Says on stderr what it
    does. A network that needs too much memory is a row, and is not tried; such rows come first.

    Raises:
        UserError, KeyboardInterrupt: as :func:`engines.checking.kept`.
    """
    sized = sorted(((_weights(one), one, precision) for one, precision in asked), key=_size)
    jobs: list[Job] = []
    weights: dict[str, int | None] = {}
    untried: list[Row] = []
    for count, one, precision in sized:
        if count is not None and (why := too_large(count, shared.memory_bytes)):
            untried.append(_row(one, precision, count, "too large", why))
            continue
        try:
            job = Job(one, precision, _key(one, precision, shared))
        except Unavailable as error:
            untried.append(_row(one, precision, count, "unavailable", error.sentence))
            continue
        jobs.append(job)
        weights[job.key] = count

    def tried(job: Job, passing: Store) -> State:
        return checked(job, passing, shared)

    for row in untried:
        yield row, False
    for job, state, known in kept(SHELF, jobs, shared.store, tried, fresh):
        yield _judged(job, state, weights[job.key], shared), known


def _weights(architecture: Architecture) -> int | None:
    """How many weights a network of timm's has. Others are made by code that may crash: by the child alone."""
    backbone = architecture.backbone
    return parameters(backbone) if isinstance(backbone.source, TimmModel) else None


def _size(one: tuple[int | None, Architecture, Precision]) -> tuple[float, str, str]:
    weights, architecture, _ = one
    return weights or 0, architecture.name, architecture.input


def _key(architecture: Architecture, precision: Precision, shared: Conditions) -> str:
    return key(
        SHELF,
        version=VERSION,
        onnx=artifact_key(architecture.backbone, shared.store, precision=precision),
        photographs=[PACKAGE.sha256, PHOTOGRAPHS],
        engines={str(engine.spec): engine.available("build").version for engine in shared.engines},
    )


def checked(job: Job, passing: Store, shared: Conditions) -> State:
    """Export in one process and run each engine in another; what all of them found.

    Returns:
        ``export``: the state of the export's process; ``engines``: engine → state of its own, where there is a file.
    """
    folder = passing.root / "chosen"
    if not folder.is_dir():
        folder.mkdir()
        for number, encoded in enumerate(photographs(passing)[:PHOTOGRAPHS]):
            Path(folder, f"{number}.jpg").write_bytes(encoded)
    stage = {
        "backbone": job.architecture.backbone.as_json(),
        "precision": str(job.precision),
        "images": str(folder),
        "store": str(passing.root),
        "memory_bytes": shared.memory_bytes,
    }
    exported = in_child(WORKER, {**stage, "engine": ""}, shared.seconds)
    found: State = {"export": exported, "engines": {}}
    if exported["doing"] == ENDED:
        for engine in shared.engines:
            state = in_child(WORKER, {**stage, "engine": str(engine.spec)}, shared.seconds)
            found["engines"][str(engine.spec)] = state
            shutil.rmtree(passing.root / "plan", ignore_errors=True)
    for state in (exported, *found["engines"].values()):
        if state.get("unavailable"):
            found["unavailable"] = state["unavailable"]
    return found


def _judged(job: Job, state: Mapping[str, Any], weights: int | None, shared: Conditions) -> Row:
    """The row of what was tried."""
    exported, engines = state["export"], state["engines"]
    weights = exported.get("weights", weights)
    if exported.get("too large"):
        return _row(job.architecture, job.precision, weights, "too large", exported["unavailable"])
    stages = {FILE: exported, **engines}
    parity = {name: stage["parity"] for name, stage in stages.items() if "parity" in stage}
    reasons = [f"{name}: {why}" for name, stage in stages.items() if (why := _why(stage))]
    status: Status = "unavailable" if state.get("unavailable") else "failed" if reasons else "passed"
    missing = [str(engine.spec) for engine in shared.engines if str(engine.spec) not in engines]
    if status == "passed" and missing:
        status, reasons = "failed", [f"{', '.join(missing)}: not run"]
    row = _row(job.architecture, job.precision, weights, status, state.get("unavailable") or "; ".join(reasons))
    return replace(
        row,
        parameters_m=exported.get("parameters_m", row.parameters_m),
        seconds=round(sum(stage["took"] for stage in stages.values()), 1),
        export_seconds=round(exported["took"], 1),
        peak_gib=round(max(stage.get("peak_bytes", 0) for stage in stages.values()) / 2**30, 2),
        onnx_mib=exported.get("onnx_mib", 0.0),
        parity=parity,
    )


def _why(stage: Mapping[str, Any]) -> str:
    """Why a stage did not pass; empty where it did."""
    if ended := stage.get("died") or stage.get("failed"):
        return str(ended)
    if "parity" in stage and not stage["parity"]["passed"]:
        found = stage["parity"]
        return f"cosine {found['cosine_min']:.6f}, relative error {found['relative_error']:.1e}"
    return ""


def _row(architecture: Architecture, precision: Precision, weights: int | None, status: Status, why: str = "") -> Row:
    return Row(
        architecture.name,
        architecture.kind,
        architecture.input,
        architecture.rows,
        str(precision),
        status,
        why,
        None if weights is None else round(weights / 1e6, 2),
        None if weights is None else round(need_gib(weights), 1),
    )
