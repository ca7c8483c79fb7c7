"""Real jobs in real child processes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import venv
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from fakes import dataset
from project import ROOT, pyproject

from bench.measure import runner
from bench.measure.energy import beside
from bench.measure.moments import FOREIGN_SHARE
from bench.measure.scenarios.base import Settings
from bench.measure.scenarios.catalog import main_metric
from bench.measure.worker import Job
from bench.sweep.rotation import prepare
from engines.base import Profile
from engines.catalog import engine
from engines.preprocess.catalog import preprocess
from engines.processor import allowed
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
    beside = {name: [one.series for one in windows] for name, windows in outcome.monitoring.items()}
    assert beside == {
        "single_stream": ["latency"],
        "offline": ["batch_1", "batch_4"],
        "end_to_end": ["end_to_end"],  # its parts were timed within it
    }
    assert outcome.seconds > 0
    assert 0 < outcome.peak_memory_bytes["single_stream"] <= outcome.peak_memory_bytes["end_to_end"]


def test_a_machine_without_a_sensor_or_a_series_that_is_too_short_says_so(job: Job) -> None:
    energy = runner.run(job).energy
    assert list(energy) == ["single_stream", "offline", "end_to_end"]
    assert all(one.reason and not one.windows and not one.domain for one in energy.values())


def test_a_child_s_series_take_what_a_meter_had_in_their_windows(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """50 W all the time, a reading every 5 ms, for longer than the child takes."""
    for name, value in {"LEAST_SECONDS": 0.01, "LEAST_STEPS": 1, "METER_IDLE_SECONDS": 0.1}.items():
        monkeypatch.setattr(beside, name, value)
    file, now = tmp_path / "meter.csv", time.time()
    file.write_text("time,watts\n" + "".join(f"{now + i / 200 - 1:.3f},50\n" for i in range(40_000)))
    longer = replace(job, meter=str(file), scenarios=("offline", "end_to_end"), settings=Settings(0.3, samples=8))
    outcome = runner.run(longer)
    windows = {name: one.windows for name, one in outcome.energy.items()}
    assert {w.series: w.why for w in windows["offline"]} == {"batch_1": "", "batch_4": ""}
    assert [w.series for w in windows["end_to_end"]] == ["end_to_end"]
    for window in (*windows["offline"], *windows["end_to_end"]):
        assert window.joules == pytest.approx(50 * window.seconds, rel=1e-3)
        assert window.idle_w == pytest.approx(50, rel=1e-3)
    images = {w.series: w.images for w in windows["offline"]}
    assert images == {f"batch_{n}": n * len(outcome.series["offline"][f"batch_{n}"].samples) for n in (1, 4)}


def test_a_neighbour_that_keeps_every_core_busy_disturbs_every_series(job: Job) -> None:
    with ExitStack() as stack:
        for _ in allowed():
            neighbour = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            stack.callback(neighbour.kill)
        outcome = runner.run(replace(job, scenarios=("single_stream", "offline")))
    windows = [one for scenario in outcome.monitoring.values() for one in scenario]
    assert len(windows) == 3
    assert all(one.disturbed and one.foreign_share > FOREIGN_SHARE for one in windows)
    assert outcome.doubtful
    assert outcome.disturbance > (0, FOREIGN_SHARE)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
@pytest.mark.parametrize("name", ["ort", "openvino", pytest.param("torch", marks=pytest.mark.slow)])
def test_a_pinned_child_and_every_thread_of_its_engine_stay_on_the_core(job: Job, name: str) -> None:
    """Asked for two threads on one core: an engine that chose its cores itself would show."""
    store, core = Store(Path(job.store)), max(allowed())
    entry = store.try_load("onnx", job.onnx_key)
    assert entry is not None
    engine(name).plan(Artifact.of(entry), Profile(job.batches), store)
    asked = replace(job, engine=name, provider="", threads=2, scenarios=("single_stream",), pin=(core,))
    code = (
        "import os, sys, threading, msgspec; from pathlib import Path; from bench.measure import worker\n"
        "from engines.base import Session; run, seen = Session.run, set()\n"
        "def watched(self, pixels):\n"
        "    found = run(self, pixels)\n"
        "    for task in Path('/proc/self/task').iterdir():\n"
        "        seen.add((len(list(task.parent.iterdir())) > 1, *sorted(os.sched_getaffinity(int(task.name)))))\n"
        "    return found\n"
        "Session.run = watched\n"
        "outcome = worker.work(msgspec.json.decode(sys.argv[1], type=worker.Job))\n"
        "print(sorted(seen))"
    )
    words = [sys.executable, "-c", code, msgspec.json.encode(asked).decode()]
    places = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    said = subprocess.run(words, cwd=ROOT, env=places, capture_output=True, text=True, check=True).stdout
    assert said.strip() == str([(True, core)])


def test_a_batch_size_is_warmed_up_once_in_a_child(job: Job) -> None:
    series = runner.run(job).series
    assert series["single_stream"]["latency"].warm_up
    assert series["offline"]["batch_1"].warm_up == []
    assert series["offline"]["batch_4"].warm_up
    assert series["end_to_end"]["end_to_end"].warm_up


def test_what_takes_minutes_has_a_child_of_its_own_and_is_measured_once(job: Job) -> None:
    several = replace(job, scenarios=("single_stream", "server", "offline", "soak"), repeats=2)
    both = ("single_stream", "offline")
    assert [turn.scenarios for turn in several.turns] == [both, both, ("server",), ("soak",)]
    assert [turn.scenarios for turn in replace(job, scenarios=("soak",), repeats=3).turns] == [("soak",)]


def test_scenarios_under_load_run_on_the_engine_that_does_nothing(job: Job) -> None:
    settings = replace(job.settings, fps=(100,), bundle=6, soak_seconds=0.2)
    names = ("multi_stream", "camera", "server", "soak")
    for turn in replace(job, settings=settings, scenarios=names).turns:
        outcome = runner.run(turn)
        assert outcome.failure is None
        for name in turn.scenarios:
            main = main_metric(name, outcome.series[name], settings)
            assert main.value is not None or main.note.startswith("void: ")  # the machine that tests may be busy


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


def measured(python: str | Path, job: Job, without: Sequence[str] = ()) -> dict[str, Any]:
    """What ``tests/measuring_half.py`` measures, by that Python, with modules that cannot be imported."""
    done = subprocess.run(
        [python, "-c", "import measuring_half; measuring_half.main()"],
        input=json.dumps([msgspec.to_builtins(job), without]),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found, imported = json.loads(done.stdout)
    assert not set(imported) & set(EXTRAS["export"][1].split())
    store = Store(Path(job.store))
    entry = store.try_load("onnx", job.onnx_key)
    assert entry is not None
    made, data = Artifact.of(entry), dataset()
    path = preprocess("pillow", made.preprocess, store)
    with engine("ort").load(engine("ort").plan(made, Profile(job.batches), store)) as session:
        wanted = np.concatenate([path.run(session, [path(data.read(s.id))])["features"] for s in data.samples])
    assert {"null", "ort"} <= set(found)
    for name, one in found.items():
        assert sorted(one["timed"]) == sorted(job.scenarios)
        assert one["parity"]
        if name != "null":
            assert set(one["arithmetic"]) == {"fp32"}
            np.testing.assert_allclose(one["features"], wanted, rtol=1e-3, atol=1e-4)
    return dict(found)


def test_measuring_needs_nothing_that_only_exporting_needs(job: Job) -> None:
    """Plans are built, held to parity, timed, and features extracted, in a process that cannot import it."""
    measured(sys.executable, job, EXTRAS["export"][1].split())


@pytest.mark.network
@pytest.mark.slow
def test_the_plain_package_with_an_engine_is_enough(job: Job, tmp_path: Path) -> None:
    """What pyproject.toml asks for, in the versions of the lock for boards, and nothing else."""
    venv.create(tmp_path, with_pip=False)
    python = tmp_path / "bin" / "python"
    versions = re.findall(r"^[a-z0-9-]+==[^\\\n]+", (ROOT / "requirements" / "edge.txt").read_text(), re.MULTILINE)
    (tmp_path / "versions.txt").write_text("\n".join(versions))
    project = pyproject()["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["cpu"]]
    command = [sys.executable, "-m", "pip", "-qq", "--python", str(python), "install", "--no-compile"]
    subprocess.run([*command, "-c", str(tmp_path / "versions.txt"), *wanted], check=True)
    site = next((tmp_path / "lib").glob("python*/site-packages"))
    assert sum(file.stat().st_size for file in site.rglob("*") if file.is_file()) < 200e6
    assert not {path.name for path in site.iterdir()} & set(EXTRAS["export"][1].split())
    assert set(measured(python, job)) == {"null", "ort"}
    for words in (["engines"], ["rank", "--published"]):
        done = subprocess.run([python, "-m", "bench", *words], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout
