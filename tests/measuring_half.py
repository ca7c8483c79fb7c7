"""A program that builds plans, holds them to parity, times them and extracts features, as a board does.

Standard input: a job of :mod:`bench.measure.worker`, and modules that shall not import. Standard output: what came of
it by engine, and the top-level modules that were imported.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def main() -> None:
    """Measure on every engine that runs here."""
    asked, without = json.load(sys.stdin)
    sys.modules.update(dict.fromkeys(without))  # importing one of them fails, as where it is not installed
    found = {name: one for name in ("null", "ort", "openvino") if (one := _measured(name, asked))}
    print(json.dumps([found, sorted({name.partition(".")[0] for name in sys.modules.keys() - set(without)})]))


def _measured(name: str, asked: Any) -> dict[str, Any]:
    from dataclasses import replace
    from pathlib import Path

    import msgspec
    from fakes import dataset

    from bench.measure.worker import Job, work
    from bench.sweep import gate
    from bench.sweep.features import extract
    from bench.sweep.rotation import prepare
    from engines.base import Profile
    from engines.catalog import engine
    from engines.preprocess.catalog import preprocess
    from export.artifact import Artifact
    from export.store import Store

    job = msgspec.convert(asked, Job)
    store, runner = Store(Path(job.store)), engine(name)
    entry = store.try_load("onnx", job.onnx_key)
    if entry is None or not runner.available().ok:
        return {}
    made = Artifact.of(entry)
    path = preprocess("pillow", made.preprocess, store)
    plan = runner.plan(made, Profile(job.batches), store)
    rows, _ = extract(lambda: runner.load(plan), {"features": plan.key}, path, dataset(), store)
    shown = prepare(dataset(), path, 0, store)
    timed = work(replace(job, engine=name, preprocess="pillow", queries_key=shown.key))
    parity = gate.check(runner, plan, store)
    return {
        "features": rows["features"][:].tolist(),
        "timed": {one: sorted(series) for one, series in timed.series.items()},
        "arithmetic": plan.arithmetic,
        "parity": parity is None or parity.passed,
    }
