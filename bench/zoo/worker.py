"""The child process of a stage of one check: ``python -m bench.zoo.worker JOB STATE``.

Its state (see :mod:`engines.checking`) says:

    peak_bytes               memory that the stage took
    weights                  numbers of a network that only its own code could tell of
    too large                true: it needs more memory than there may be, and was not exported
    parity                   closeness of the file, or of the engine, to eager PyTorch
    parameters_m, onnx_mib   of the file
    failed, unavailable      why there is none
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engines.checking import ENDED, Notes, work
from export.errors import Unavailable, UserError


def stage(job: Mapping[str, Any], state_file: Path) -> None:
    """Export, or run the engine that the job names."""
    from bench.measure.worker import peak_memory_bytes

    notes = Notes(state_file)
    engine = str(job["engine"])
    try:
        notes.doing(f"running {engine}" if engine else "exporting")
        if not engine and _too_large(job, notes):
            return
        found = _run(job, engine) if engine else _export(job)
    except UserError as error:
        found = {"unavailable" if isinstance(error, Unavailable) else "failed": error.sentence}
    notes.state |= {**found, "peak_bytes": peak_memory_bytes()}
    notes.doing(notes.state["doing"] if "parity" not in found else ENDED)


def _too_large(job: Mapping[str, Any], notes: Notes) -> bool:
    """Whether the network needs more memory than there may be, where the parent could not know."""
    from bench.zoo.check import too_large
    from export.zoo.backbones import Backbone
    from export.zoo.sources import ModuleFunction
    from export.zoo.unloaded import parameters

    backbone = Backbone.of_json(job["backbone"])
    if not isinstance(backbone.source, ModuleFunction) or (weights := parameters(backbone)) is None:
        return False
    notes.state["weights"] = weights
    if not (why := too_large(weights, job["memory_bytes"])):
        return False
    notes.state |= {"too large": True, "unavailable": why}
    notes.doing("leaving it out")
    return True


def _artifact(job: Mapping[str, Any]) -> tuple[Any, Any]:
    from export.lower.precision import artifact
    from export.spec import Precision
    from export.store import Store
    from export.zoo.backbones import Backbone

    store = Store(Path(job["store"]), say=lambda _: None)
    backbone = Backbone.of_json(job["backbone"])
    return artifact(backbone, store, precision=Precision(job["precision"]), images=Path(job["images"])), store


def _export(job: Mapping[str, Any]) -> dict[str, Any]:
    made, _ = _artifact(job)
    return {
        "parity": _closeness(made.parity),
        "parameters_m": round(made.parameters / 1e6, 2),
        "onnx_mib": round(made.onnx_bytes / 2**20, 1),
    }


def _run(job: Mapping[str, Any], name: str) -> dict[str, Any]:
    from bench.sweep.gate import check
    from engines.base import Profile
    from engines.catalog import engine

    made, store = _artifact(job)
    runner = engine(name)
    return {"parity": _closeness(check(runner, runner.plan(made, Profile(), store), store))}


def _closeness(parity: Any) -> dict[str, Any]:
    return {name: getattr(parity, name) for name in ("output", "cosine_min", "relative_error", "passed")}


if __name__ == "__main__":
    sys.exit(work(stage))
