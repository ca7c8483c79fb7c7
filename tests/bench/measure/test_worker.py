"""Real jobs in real child processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from fakes import dataset
from project import ROOT

from bench.measure import runner
from bench.measure.scenarios import Settings
from bench.measure.worker import Job
from bench.sweep.rotation import prepare
from engines.base import Profile
from engines.catalog import engine
from engines.preprocess.catalog import preprocess
from export.artifact import Artifact
from export.errors import EXTRAS
from export.lower.precision import artifact
from export.store import Store
from export.zoo.backbones import Backbone
from export.zoo.sources import ModuleFunction


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """All scenarios on the engine that does nothing."""
    store = Store(tmp_path_factory.mktemp("store"), lambda line: None)
    photos = tmp_path_factory.mktemp("photos")
    data = dataset()
    for sample in data.samples[:3]:
        (photos / sample.id).write_bytes(data.read(sample.id))
    made = artifact(Backbone("small", ModuleFunction("nets:small")), store, images=photos)
    engine("null").plan(made, Profile((1, 4)), store)
    shown = prepare(data, preprocess("cpu", made.preprocess, store), 0, store)
    return Job(
        store=str(store.root),
        engine="null",
        provider="cpu",
        threads=0,
        onnx_key=made.key,
        batches=(1, 4),
        preprocess="cpu",
        queries_key=shown.key,
        scenarios=("single_stream", "offline", "end_to_end"),
        settings=Settings(0.05, samples=8),
    )


def test_a_child_measures_every_scenario(job: Job) -> None:
    outcome = runner.run(job)
    assert outcome.failure is None
    assert {name: list(series) for name, series in outcome.series.items()} == {
        "single_stream": ["latency"],
        "offline": ["batch_1", "batch_4"],
        "end_to_end": ["end_to_end", "decode", "preprocess"],
    }
    assert all(series.samples for found in outcome.series.values() for series in found.values())
    assert outcome.monitoring is not None
    assert 0 < outcome.peak_memory_bytes["single_stream"] <= outcome.peak_memory_bytes["end_to_end"]


def test_a_batch_size_is_warmed_up_once_in_a_child(job: Job) -> None:
    series = runner.run(job).series
    assert series["single_stream"]["latency"].warm_up
    assert series["offline"]["batch_1"].warm_up == []
    assert series["offline"]["batch_4"].warm_up
    assert series["end_to_end"]["end_to_end"].warm_up


def test_what_a_child_cannot_do_is_its_outcomes_failure(job: Job) -> None:
    lost = runner.run(replace(job, queries_key="gone"))
    assert lost.failure is not None
    assert "disappeared" in lost.failure.what
    slow = runner.run(replace(job, settings=Settings(60.0)), limit=0.5)
    assert slow.failure is not None
    assert slow.failure.type == "TimeoutExpired"


def test_a_child_that_dies_is_a_failure(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    died = runner.run(job)
    assert died.failure is not None
    assert died.failure.type == "ChildDied"
    assert "code 1" in died.failure.what


WITHOUT_EXPORT = """
import json, sys
job, without = json.load(sys.stdin)
sys.modules.update(dict.fromkeys(without))  # importing one of them fails, as where it is not installed
import msgspec
from fakes import dataset
from bench.measure.worker import Job, work
from bench.sweep import gate
from bench.sweep.features import extract
from bench.sweep.rotation import prepare
from dataclasses import replace
from pathlib import Path
from engines.base import EngineSpec, Profile
from engines.catalog import engine
from engines.preprocess.catalog import preprocess
from export.artifact import Artifact
from export.store import Store
from pathlib import Path

job = msgspec.convert(job, Job)
store = Store(Path(job.store))
made = Artifact.of(store.try_load("onnx", job.onnx_key))
path = preprocess("pillow", made.preprocess, store)
job = replace(job, preprocess="pillow", queries_key=prepare(dataset(), path, 0, store).key)
found = {}
for name in ("null", "ort", "openvino"):
    runner = engine(name)
    if runner.available().ok:
        plan = runner.plan(made, Profile(job.batches), store)
        rows, _ = extract(lambda: runner.load(plan), {"features": plan.key}, path, dataset(), store)
        timed = work(replace(job, engine=name))
        parity = gate.check(runner, plan, store)
        found[name] = {
            "features": rows["features"][:].tolist(),
            "timed": {one: sorted(series) for one, series in timed.series.items()},
            "arithmetic": plan.arithmetic,
            "parity": parity is None or parity.passed,
        }
print(json.dumps([found, sorted(set(without) & {n.partition(".")[0] for n, m in sys.modules.items() if m})]))
"""


def test_measuring_needs_nothing_that_only_exporting_needs(job: Job) -> None:
    """Plans are built, held to parity, timed, and features extracted, in a process that cannot import them."""
    without = EXTRAS["export"][1].split()
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXPORT],
        input=json.dumps([msgspec.to_builtins(job), without]),
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found, imported = json.loads(done.stdout)
    assert not imported
    store = Store(Path(job.store))
    entry = store.try_load("onnx", job.onnx_key)
    assert entry is not None
    made, data = Artifact.of(entry), dataset()
    path = preprocess("pillow", made.preprocess, store)
    plan = engine("ort").plan(made, Profile(job.batches), store)
    with engine("ort").load(plan) as session:
        wanted = np.concatenate([path.run(session, [path(data.read(s.id))])["features"] for s in data.samples])
    assert {"null", "ort"} <= set(found)
    for name, one in found.items():
        assert sorted(one["timed"]) == sorted(job.scenarios)
        assert one["parity"]
        if name != "null":
            assert set(one["arithmetic"]) == {"fp32"}
            np.testing.assert_allclose(one["features"], wanted, rtol=1e-3, atol=1e-4)
